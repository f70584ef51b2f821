//! Boots: installers in order, self-registration last, what fails, what is cut short, and applications that end.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use evenkeel_aws::ec2;

use crate::draining::set_draining;
use crate::rig::{INSTANCE_PORT, PROGRAM, Rig, kill9, processes_of, processes_of_instance};
use crate::smtp::Smtp;

const PATIENCE: Duration = Duration::from_secs(60);

/// A class as boto's users write it, and one that fails.
const CODE: &str = "\
import os
class Web:
    def main(self):
        print('python says', os.environ['EVENKEEL_ZONE'])
        open('order', 'a').write('python\\n')
class Bad:
    def main(self):
        raise RuntimeError('the newest code is broken')
";

/// The sample application with a health path and a module of boot code.
fn image(rig: &Rig, more: impl FnOnce(&Path, &mut toml::Table)) -> String {
    rig.image_with("boots", &[], |dir, manifest| {
        manifest.insert("health".into(), "/health".into());
        std::fs::write(dir.join("code.py"), CODE).unwrap();
        more(dir, manifest);
    })
}

/// What holds of every kind of enclosure.
fn each(test: impl Fn(Rig)) {
    test(Rig::start());
    if let Some(rig) = Rig::enclosed() {
        test(rig);
    }
    if let Some(rig) = Rig::docker() {
        test(rig);
    }
}

/// The pids of processes of the boot of an instance.
fn players(rig: &Rig, id: &str) -> Vec<i32> {
    let needle = format!("instances/{id}");
    let line = |pid: &i32| std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let plays = |line: &str| line.contains("\0boot\0") && line.contains(&needle);
    processes_of(rig.data_dir()).into_iter().filter(|pid| plays(&String::from_utf8_lossy(&line(pid)))).collect()
}

#[test]
fn installers_run_in_order_and_the_registration_in_two_balancers_comes_last() {
    each(|mut rig| {
        let image = image(&rig, |_, manifest| {
            manifest.insert("installers".into(), vec!["sh echo image >> order; test ! -e etc/passwd"].into());
        });
        rig.balancer("one", &["us-east-1a"]);
        rig.create("two", &["us-east-1a"], "tcp").unwrap();
        let data = "[Pyami]\nscripts = sh echo shell >> order; echo \"shell says $BOTO_CONFIG\", code.Web, env VERSION=told, ELBRegister\n\
                [ELB]\nname = one, two\n[Mine]\nkey = value\n";
        let id = rig.launch_told(&image, data);
        rig.wait_status(&id, "ok");
        rig.wait_in_service("one", std::slice::from_ref(&id));
        rig.wait_in_service("two", std::slice::from_ref(&id));
        assert_eq!(rig.inside(&id, "order"), "image\nshell\npython\n");
        let config = rig.inside(&id, "etc/boto.cfg");
        for line in [&format!("instance-id = {id}"), &format!("instance_id = {id}"), "key = value", "name = one, two"] {
            assert!(config.contains(line), "{line} is not in\n{config}");
        }
        let console = rig.console(&id);
        for line in ["shell says /", "python says us-east-1a", "step 1 of 4: sh echo image", "register with two: done"]
        {
            assert!(console.contains(line), "{line} is not in\n{console}");
        }
        assert!(!console.contains('\x1e'), "marks are not for people: {console:?}");
        assert!(rig.instance_file(&id, "step-3.log").contains("python says"));
        // What an installer set is the application's too.
        let (status, body) = rig.get(rig.nodes("one")[0].1, "/").unwrap();
        assert!(status == 200 && body.contains("told"), "{body}");
        rig.finish();
    });
}

#[test]
fn the_first_failure_halts_the_queue_and_nothing_is_registered() {
    each(|mut rig| {
        let image = image(&rig, |_, _| {});
        rig.balancer("one", &["us-east-1a"]);
        let data = "[Pyami]\nscripts = sh echo first >> order, code.Bad, sh echo third >> order\n[ELB]\nname = one\n";
        let id = rig.launch_told(&image, data);
        rig.wait_status(&id, "impaired");
        assert_eq!(rig.state(&id).0, "running", "it stays to be looked at");
        assert_eq!(rig.inside(&id, "order"), "first\n");
        assert!(rig.instance_file(&id, "step-2.log").contains("RuntimeError: the newest code is broken"));
        assert!(rig.console(&id).contains("the boot failed to do step 2, `code.Bad`"), "{}", rig.console(&id));
        assert_eq!(rig.health("one"), Vec::new());
        rig.wait("the road to answer", PATIENCE, |rig| {
            rig.get(rig.nodes("one")[0].1, "/").ok().filter(|(s, _)| *s == 503)
        });
        // The application was never started.
        let agent_and_none_else = processes_of_instance(&id);
        assert_eq!(agent_and_none_else, Vec::<i32>::new());
        // Put right, it boots anew.
        rig.write_inside(&id, "code.py", &CODE.replace("raise RuntimeError", "print"));
        rig.call(&ec2::StopInstances { instance_ids: vec![id.clone()], ..Default::default() }).unwrap();
        rig.wait_state(&id, "stopped");
        rig.call(&ec2::StartInstances { instance_ids: vec![id.clone()], ..Default::default() }).unwrap();
        rig.wait_status(&id, "ok");
        rig.wait_in_service("one", std::slice::from_ref(&id));
        assert_eq!(rig.inside(&id, "order"), "first\nfirst\nthird\n");
        rig.finish();
    });
}

#[test]
fn an_application_that_is_never_well_is_not_registered_nor_is_one_whose_balancer_is_not_there() {
    each(|mut rig| {
        rig.balancer("one", &["us-east-1a"]);
        let ill = image(&rig, |_, manifest| {
            manifest.insert("health".into(), "/nowhere".into());
            manifest.insert("ready_within".into(), 1.into());
        });
        let ill = rig.launch_told(&ill, "[ELB]\nname = one\n");
        let lost = rig.image_with("lost", &[], |_, _| {});
        let lost = rig.launch_told(&lost, "[ELB]\nname = one, nobody\n");
        rig.wait_status(&ill, "impaired");
        rig.wait_status(&lost, "impaired");
        assert!(rig.console(&ill).contains("within 1 s: it answers 404"), "{}", rig.console(&ill));
        assert!(rig.console(&lost).contains("no load balancer found: `nobody`"), "{}", rig.console(&lost));
        assert_eq!(rig.health("one"), Vec::new(), "all of them or none");
        rig.finish();
    });
}

#[test]
fn a_boot_goes_on_from_the_step_at_which_it_was_cut_short() {
    each(|mut rig| {
        let image = image(&rig, |_, _| {});
        rig.balancer("one", &["us-east-1a"]);
        let evenkeel = |rig: &Rig, args: &[&str]| {
            let mut command = Command::new(PROGRAM);
            command.args(args).env("EVENKEEL_DATA_DIR", rig.data_dir()).stdin(Stdio::null());
            command.output().unwrap()
        };
        let step = |n: u32| {
            format!("sh echo begin{n} >> order; while ! test -e go{n}; do sleep 0.05; done; echo end{n} >> order")
        };
        let data = format!("[Pyami]\nscripts = {}, {}, {}\n[ELB]\nname = one\n", step(1), step(2), step(3));
        let id = rig.launch_told(&image, &data);
        let order = |rig: &Rig| rig.inside(&id, "order");
        let mut expected = String::new();
        for n in 1..=3 {
            expected += &format!("begin{n}\n");
            rig.wait("the step to begin", PATIENCE, |rig| (order(rig) == expected).then_some(()));
            rig.kill_daemon();
            rig.up();
            assert_eq!(rig.status(&id), "initializing");
            if n == 2 {
                // Not only the daemon: what runs the queue itself.
                let before = players(&rig, &id);
                assert_eq!(before.len(), 1, "{before:?}");
                kill9(before[0]);
                expected += &format!("begin{n}\n");
                rig.wait("the step to begin again", PATIENCE, |rig| (order(rig) == expected).then_some(()));
            }
            expected += &format!("end{n}\n");
            rig.write_inside(&id, &format!("go{n}"), "");
        }
        // Whoever follows the boot sees it end, and then how it was; whoever enters the instance is where it works.
        let followed = evenkeel(&rig, &["boot-log", &id, "--follow", "--timeout", "60"]);
        assert!(followed.status.success(), "{followed:?}");
        assert!(String::from_utf8(followed.stdout).unwrap().contains("4  done"));
        rig.wait_status(&id, "ok");
        let told = String::from_utf8(evenkeel(&rig, &["boot-log", &id]).stdout).unwrap();
        assert!(told.contains("boot 1 is done") && told.contains("registered with one"), "{told}");
        let inside = evenkeel(&rig, &["exec", &id, "--", "sh", "-c", "cat order; echo $EVENKEEL_INSTANCE_ID; exit 5"]);
        assert_eq!(inside.status.code(), Some(5), "{inside:?}");
        assert_eq!(String::from_utf8(inside.stdout).unwrap(), format!("{expected}{id}\n"));
        assert_eq!(order(&rig), expected);
        rig.wait_in_service("one", std::slice::from_ref(&id));
        assert_eq!(rig.health("one").len(), 1);
        rig.finish();
    });
}

#[test]
fn scripts_of_user_data_run_once_and_boot_code_at_every_boot() {
    each(|mut rig| {
        let image = image(&rig, |_, manifest| {
            manifest.insert("installers".into(), vec!["sh echo every >> order"].into());
        });
        let id = rig.launch_told(&image, "#!/bin/sh\necho once >> order\n");
        let cloud = rig.launch_told(
            &image,
            "#cloud-config\nwrite_files: [{path: /a/b, content: hi}]\nruncmd: [[cp, a/b, c]]\nhostname: x\n",
        );
        rig.wait_status(&id, "ok");
        rig.wait_status(&cloud, "ok");
        assert_eq!(rig.inside(&cloud, "c"), "hi");
        assert!(rig.console(&cloud).contains("`hostname` of the cloud-config is not followed here"));
        rig.call(&ec2::RebootInstances { instance_ids: vec![id.clone()], ..Default::default() }).unwrap();
        rig.wait("the second boot", PATIENCE, |rig| {
            (rig.status(&id) == "ok" && rig.instance_file(&id, "boot.json").contains("\"boot\": 2")).then_some(())
        });
        assert_eq!(rig.inside(&id, "order"), "every\nonce\nevery\n");
        rig.finish();
    });
}

#[test]
fn an_application_that_fails_is_started_again_while_its_instance_stays() {
    each(|mut rig| {
        let image = image(&rig, |_, manifest| drop(manifest.insert("restart".into(), "on-failure".into())));
        rig.balancer("one", &["us-east-1a"]);
        let id = rig.launch_told(&image, "[ELB]\nname = one\n");
        rig.wait_status(&id, "ok");
        rig.wait_in_service("one", std::slice::from_ref(&id));
        let before = processes_of_instance(&id);
        before.iter().for_each(|pid| kill9(*pid));
        rig.wait_status(&id, "impaired");
        rig.wait("another one", PATIENCE, |_| {
            let now = processes_of_instance(&id);
            (!now.is_empty() && now.iter().all(|pid| !before.contains(pid))).then_some(())
        });
        assert_eq!(rig.state(&id).0, "running");
        rig.wait("it to be well again", PATIENCE, |rig| (rig.status(&id) == "ok").then_some(()));
        rig.wait_in_service("one", std::slice::from_ref(&id));
        assert_eq!(rig.get(rig.nodes("one")[0].1, "/").unwrap().0, 200);
        rig.finish();
    });
}

#[test]
fn built_in_installers_fetch_unpack_and_wait() {
    each(|mut rig| {
        // Another instance serves as the place where the newest code is.
        let store = rig.image("store", &[]);
        let store = rig.run(&store, "us-east-1a", 1).remove(0);
        let input = ec2::DescribeInstances { instance_ids: vec![store], ..Default::default() };
        let address = rig.call(&input).unwrap().reservation_set[0].instances_set[0].private_ip_address.clone();
        let place = format!("{address}:{INSTANCE_PORT}");
        let image = image(&rig, |dir, _| {
            let mut tar = tar::Builder::new(flate2::write::GzEncoder::new(
                std::fs::File::create(dir.join("code.tar.gz")).unwrap(),
                flate2::Compression::fast(),
            ));
            let mut header = tar::Header::new_gnu();
            header.set_size(2);
            header.set_mode(0o644);
            tar.append_data(&mut header, "top/inner/file", b"ok".as_slice()).unwrap();
            tar.into_inner().unwrap().finish().unwrap();
        });
        let data = format!(
            "[Pyami]\nscripts = wait-for tcp:{place}, fetch http://{place}/ to=fetched, unpack code.tar.gz into=new strip=1, wait-for file:new/inner/file\n"
        );
        let id = rig.launch_told(&image, &data);
        rig.wait_status(&id, "ok");
        assert!(!rig.inside(&id, "fetched").is_empty());
        assert_eq!(rig.inside(&id, "new/inner/file"), "ok");
        let bad = format!("[Pyami]\nscripts = retries=0 fetch http://{place}/ to=x sha256={}\n", "0".repeat(64));
        let bad = rig.launch_told(&image, &bad);
        rig.wait_status(&bad, "impaired");
        assert!(rig.console(&bad).contains("its SHA-256 is"), "{}", rig.console(&bad));
        assert_eq!(rig.inside(&bad, "x"), "");
        let outside = rig.launch_told(&image, "[Pyami]\nscripts = unpack code.tar.gz into=../../out\n");
        rig.wait_status(&outside, "impaired");
        rig.finish();
    });
}

/// A minute is the least that there is, so this holds one kind of enclosure alone.
#[test]
fn what_is_to_be_done_again_and_again_is_done_while_the_instance_runs() {
    let mut rig = Rig::start();
    let image = image(&rig, |_, _| {});
    let data =
        "[Pyami]\nscripts = cron name=tick '* * * * *' sh -c 'echo tick from $PORT; exit 3', cron '0 0 30 2 *' never\n";
    let id = rig.launch_told(&image, data);
    rig.wait_status(&id, "ok");
    rig.wait("its turn", Duration::from_secs(90), |rig| {
        rig.console(&id).contains("cron: `tick` exited with status 3").then_some(())
    });
    assert!(rig.console(&id).contains(&format!("tick from {INSTANCE_PORT}")), "{}", rig.console(&id));
    let bad = rig.launch_told(&image, "[Pyami]\nscripts = cron '61 * * * *' ls\n");
    rig.wait_status(&bad, "impaired");
    assert!(rig.console(&bad).contains("must be written `cron [name=NAME]"), "{}", rig.console(&bad));
    rig.finish();
}

/// The parts of a mail's text, decoded.
fn parts(text: &str) -> Vec<String> {
    let mail = mailparse::parse_mail(text.as_bytes()).unwrap();
    mail.parts().filter(|part| part.subparts.is_empty()).map(|part| part.get_body().unwrap()).collect()
}

#[test]
fn a_boot_is_reported_to_all_recipients_over_tls_with_login_and_a_failed_one_with_its_output() {
    each(|mut rig| {
        let smtp = Smtp::start("starttls");
        let image = image(&rig, |_, _| {});
        rig.balancer("one", &["us-east-1a"]);
        rig.balancer("two", &["us-east-1a"]);
        let to = "one@evenkeel.test, Two <two@evenkeel.test>";
        let book = |scripts: &str| {
            format!("{}[Pyami]\nscripts = {scripts}\n[ELB]\nname = one, two\n", smtp.notification("true", to))
        };
        let good = rig.launch_told(&image, &book("sh echo hello, code.Web, env A=b"));
        rig.wait_status(&good, "ok");
        rig.wait("the mail", PATIENCE, |_| (smtp.mails().len() == 1).then_some(()));
        let mail = smtp.mails().remove(0);
        assert!(mail.tls && mail.login == "evenkeel", "{mail:?}");
        assert_eq!(
            (mail.from.as_str(), mail.to.as_slice()),
            ("ops@evenkeel.test", ["one@evenkeel.test".to_owned(), "two@evenkeel.test".to_owned()].as_slice())
        );
        assert!(mail.text.contains(&format!("Subject: [{good}] Startup Completed for {good}")), "{}", mail.text);
        let told = parts(&mail.text);
        assert_eq!(told.len(), 2, "plain text and HTML: {told:?}");
        for words in ["sh echo hello", "code.Web", "register with two", "Registered with one, two."] {
            assert!(told[0].contains(words), "{words} is not in\n{}", told[0]);
        }
        rig.wait_in_service("one", std::slice::from_ref(&good));
        rig.wait_in_service("two", std::slice::from_ref(&good));

        // The second installer fails, and prints a secret while it does.
        let bad = rig.launch_told(&image, &book("sh echo hello, sh echo the pass is hush-hush; exit 7, code.Web"));
        rig.wait_status(&bad, "impaired");
        rig.wait("the mail", PATIENCE, |_| (smtp.mails().len() == 2).then_some(()));
        let mail = smtp.mails().remove(1);
        assert!(mail.text.contains(&format!("Subject: [{bad}] Startup Failed for {bad}")), "{}", mail.text);
        let told = parts(&mail.text);
        assert!(told[0].contains("the pass is ***") && told[0].contains("exit status: 7"), "{}", told[0]);
        assert!(told[1].contains("the pass is ***"), "{}", told[1]);
        assert!(!mail.text.contains("hush-hush"));
        let registered = |rig: &Rig, name: &str| rig.health(name).into_iter().map(|(id, _)| id).collect::<Vec<_>>();
        assert_eq!((registered(&rig, "one"), registered(&rig, "two")), (vec![good.clone()], vec![good.clone()]));
        // Nobody who looks at processes or at what the daemon wrote sees a password.
        assert!(!rig.log().contains("hush-hush"));
        rig.finish();
    });
}

#[test]
fn mail_is_tried_again_holds_nothing_up_and_comes_once_whoever_is_killed() {
    each(|mut rig| {
        let smtp = Smtp::start("implicit");
        smtp.refuse(Some("451 later"));
        let image = image(&rig, |_, _| {});
        rig.balancer("one", &["us-east-1a"]);
        let data = format!("{}[ELB]\nname = one\n", smtp.notification("implicit", "me@evenkeel.test"));
        let id = rig.launch_told(&image, &data);
        rig.wait_in_service("one", std::slice::from_ref(&id));
        rig.wait("the refusal", PATIENCE, |_| (smtp.refused() >= 1).then_some(()));
        rig.kill_daemon();
        smtp.refuse(None);
        rig.up();
        players(&rig, &id).into_iter().for_each(kill9);
        rig.wait("the mail", PATIENCE, |_| (!smtp.mails().is_empty()).then_some(()));
        rig.wait("the note of it", PATIENCE, |rig| {
            rig.instance_file(&id, "boot.json").contains("\"sent\"").then_some(())
        });
        assert!(smtp.mails().len() == 1 && smtp.mails()[0].text.contains(&format!("Message-ID: <{id}.1@evenkeel>")));
        assert_eq!(rig.status(&id), "ok");
        // A server that nobody believes is not told a password; the boot goes well all the same.
        let stranger = data.lines().filter(|line| !line.starts_with("smtp_ca_file")).collect::<Vec<_>>().join("\n");
        let other = rig.launch_told(&image, &stranger);
        rig.wait_status(&other, "ok");
        rig.wait("the reason", PATIENCE, |rig| rig.console(&other).contains("invalid peer certificate").then_some(()));
        assert_eq!(smtp.mails().len(), 1);
        rig.finish();
    });
}

#[test]
fn an_instance_that_is_stopped_with_a_request_in_flight_ends_in_order_all_the_same() {
    let mut rig = Rig::start();
    let image = image(&rig, |_, _| {});
    rig.balancer("one", &["us-east-1a"]);
    set_draining(&rig, "one", 300);
    let id = rig.launch_told(&image, "[ELB]\nname = one\n");
    rig.wait_status(&id, "ok");
    rig.wait_in_service("one", std::slice::from_ref(&id));
    let mut slow = std::net::TcpStream::connect(rig.nodes("one")[0].1).unwrap();
    slow.write_all(b"GET /slow?ms=50000 HTTP/1.1\r\nHost: test\r\n\r\n").unwrap();
    rig.call(&ec2::StopInstances { instance_ids: vec![id.clone()], ..Default::default() }).unwrap();
    rig.wait_state(&id, "stopped");
    let console = rig.console(&id);
    assert!(console.contains("application exited with status 0"), "it was told to end, not killed:\n{console}");
    rig.finish();
}
