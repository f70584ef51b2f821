//! The honest table: every operation and parameter that AWS has, whether it is served, and where it is served otherwise.
//!
//! `docs/coverage.md` is its text. Made from the dispatch tables and the inputs' own fields, and held against `aws/*.txt`,
//! which are made from botocore's models (`tests/clients/models.py`): what AWS has and nobody reads must be remarked on, and
//! a remark must be on something that exists. What is read and then ignored only people can know: it stands in [`remarks`].

mod fields;
mod monitoring;
mod remarks;
mod scaling;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use evenkeel_aws::{Action, Api, EachAction, each_action};

use super::filter::Pattern;
use remarks::{ABSENT, ONLY_HERE, REMARKS, Served};

const HEAD: &str = "\
# API coverage

What AWS's operations and their parameters do here. Served operations are answered by GET and POST, and but for EC2's in AWS
JSON and Smithy RPC v2 CBOR as well; any other answers `InvalidAction` (`UnknownOperationException`).

Parameters bear their names on the wire, as in AWS's API reference: boto3's `InstanceIds` is `InstanceId` in EC2. Those of
lists stand without `.member.N` or `.N`; `Ebs.*` is all there is below `Ebs`. *yes*: it acts as AWS says, what else there is
to know is told. *partly* and *no* have their reason.

This page is generated: `EVENKEEL_UPDATE=1 cargo test -p evenkeel --lib page` writes it anew. A test holds that nothing of
AWS's is missing in it.
";

/// What AWS's model of an API says: operations, and the parameters of those whose parameters are known.
type Model = BTreeMap<&'static str, Vec<&'static str>>;

fn model(api: Api) -> Model {
    let text = match api {
        Api::Elb => include_str!("aws/elb.txt"),
        Api::Ec2 => include_str!("aws/ec2.txt"),
        Api::Iam => include_str!("aws/iam.txt"),
        Api::Acm => include_str!("aws/acm.txt"),
        Api::AutoScaling => include_str!("aws/autoscaling.txt"),
        Api::Sts => include_str!("aws/sts.txt"),
        Api::Sns => include_str!("aws/sns.txt"),
        Api::Cloudwatch => include_str!("aws/cloudwatch.txt"),
    };
    let mut model = Model::new();
    let mut operation = "";
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        match line.strip_prefix("  ") {
            Some(parameter) => model.entry(operation).or_default().push(parameter),
            None => {
                operation = line;
                model.insert(operation, Vec::new());
            }
        }
    }
    model
}

/// What each action's input reads.
#[derive(Default)]
struct Read(Vec<(Api, &'static str, Vec<String>)>);

impl EachAction for Read {
    fn see<A: Action>(&mut self) {
        self.0.push((A::API, A::NAME, fields::of::<A>()));
    }
}

impl Read {
    fn all() -> Self {
        let mut read = Self::default();
        each_action(&mut read);
        read
    }

    fn of(&self, api: Api, operation: &str) -> &[String] {
        let found = self.0.iter().find(|(a, name, _)| *a == api && *name == operation);
        found.map(|(.., fields)| fields.as_slice()).unwrap_or_default()
    }
}

fn all_remarks() -> impl Iterator<Item = &'static (Api, &'static str, &'static str, Served)> {
    REMARKS.iter().chain(monitoring::REMARKS).chain(scaling::REMARKS)
}

/// The remark on a parameter, and the name that it is on: the parameter's own, or one above it. One on a single operation
/// wins over one on all.
fn remark(api: Api, operation: &str, parameter: &str) -> Option<(&'static str, Served)> {
    let is_above =
        |name: &str| parameter.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
    let on = |wanted: &str| {
        let mut remarks = all_remarks().filter(|(a, op, ..)| *a == api && *op == wanted);
        remarks.find(|(.., name, _)| !name.is_empty() && is_above(name)).map(|(.., name, served)| (*name, *served))
    };
    on(operation).or_else(|| on("*"))
}

fn remark_on_operation(api: Api, operation: &str) -> Option<Served> {
    let mut remarks = all_remarks().filter(|(a, op, name, _)| *a == api && *op == operation && name.is_empty());
    remarks.next().map(|(.., served)| *served)
}

/// A row of a parameter, or of all below a name.
struct Row {
    name: String,
    served: Served,
}

fn rows(api: Api, operation: &str, parameters: &[&str]) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    for parameter in parameters {
        let (name, served) = match remark(api, operation, parameter) {
            Some((name, served)) if name == *parameter => (name.to_owned(), served),
            Some((name, served)) => (format!("{name}.*"), served),
            None => ((*parameter).to_owned(), Served::Yes("")),
        };
        if !rows.iter().any(|row| row.name == name) {
            rows.push(Row { name, served });
        }
    }
    rows
}

/// What an operation is as a whole: a sum of its parameters, with its own remark after it.
fn whole(api: Api, operation: &str, rows: &[Row]) -> (&'static str, String) {
    let named = |wanted: &str| -> Vec<String> {
        rows.iter().filter(|row| row.served.word() == wanted).map(|row| format!("`{}`", row.name)).collect()
    };
    let (no, partly) = (named("no"), named("partly"));
    let own = remark_on_operation(api, operation);
    let mut sentences = Vec::new();
    for (what, names) in [("Not", no), ("In part", partly)] {
        if !names.is_empty() {
            sentences.push(format!("{what} {}.", names.join(", ")));
        }
    }
    let word = match own {
        Some(own) if own.word() != "yes" => own.word(),
        _ if sentences.is_empty() => "yes",
        _ => "partly",
    };
    sentences.extend(own.map(|own| own.text()).filter(|text| !text.is_empty()));
    (word, sentences.join(" "))
}

/// Operations that are not served, by the first of the reasons that fits each.
fn absent(api: Api, model: &Model) -> Vec<(Vec<&'static str>, &'static str, bool)> {
    let mut left: Vec<&str> = model.keys().copied().filter(|name| !api.actions().contains(name)).collect();
    let mut found = Vec::new();
    for group in ABSENT.iter().chain(monitoring::ABSENT).chain(scaling::ABSENT).filter(|group| group.api == api) {
        let patterns: Vec<Pattern> = group.operations.split(' ').map(Pattern::read).collect();
        let fits = |name: &&str| patterns.iter().any(|pattern| pattern.fits(name));
        let (these, others) = left.into_iter().partition(fits);
        left = others;
        found.push((these, group.why, group.named));
    }
    assert!(left.is_empty(), "{api:?}: AWS has these, and nothing says why they are not served: {left:?}");
    found
}

fn coverage() -> String {
    let mut text = HEAD.to_owned();
    for api in Api::ALL {
        let (name, version) = match api {
            Api::Elb => ("Elastic Load Balancing (Classic)", api.version()),
            Api::Ec2 => ("EC2", "any version"),
            Api::Acm => ("Certificate Manager", api.version()),
            Api::AutoScaling => ("Auto Scaling", api.version()),
            Api::Iam => ("IAM", api.version()),
            Api::Sts => ("STS", api.version()),
            Api::Sns => ("SNS", api.version()),
            Api::Cloudwatch => ("CloudWatch", api.version()),
        };
        let model = model(api);
        // Writing to a String cannot fail.
        let _ =
            write!(text, "\n## {name}, {version}\n\n{} of AWS's {} operations.\n", api.actions().len(), model.len());
        let _ = write!(text, "\n| operation, parameter | served | what there is to know |\n| --- | --- | --- |\n");
        for action in api.actions() {
            let rows = rows(api, action, model.get(action).map(Vec::as_slice).unwrap_or_default());
            let (word, sentences) = whole(api, action, &rows);
            let _ = writeln!(text, "| **{action}** | {word} | {sentences} |");
            for Row { name, served } in rows {
                let _ = writeln!(text, "| `{name}` | {} | {} |", served.word(), served.text());
            }
        }
        let absent = absent(api, &model);
        if !absent.is_empty() {
            let _ = write!(text, "\n| not served | why |\n| --- | --- |\n");
        }
        for (operations, why, is_named) in absent {
            let shown = if is_named {
                operations.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
            } else {
                format!("{} others", operations.len())
            };
            let _ = writeln!(text, "| {shown} | {why} |");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_says_what_the_tables_say() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/coverage.md");
        if std::env::var_os("EVENKEEL_UPDATE").is_some() {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, coverage()).unwrap();
        }
        let page = std::fs::read_to_string(&path).unwrap();
        assert_eq!(page, coverage(), "run `EVENKEEL_UPDATE=1 cargo test -p evenkeel --lib page`");
    }

    /// A parameter of a served operation is read, or somebody says what becomes of it.
    #[test]
    fn every_parameter_of_awss_is_read_or_remarked_on() {
        let read = Read::all();
        let mut wrong = Vec::new();
        for api in Api::ALL {
            let model = model(api);
            for action in api.actions() {
                let Some(parameters) = model.get(action) else {
                    wrong.push(format!("{api:?} {action} is no operation of AWS's"));
                    continue;
                };
                let fields = read.of(api, action);
                let is_told =
                    |name: &str| fields.iter().any(|field| field == name) || remark(api, action, name).is_some();
                wrong.extend(parameters.iter().filter(|name| !is_told(name)).map(|name| {
                    format!("{api:?} {action} {name}: AWS has it, and it is neither read nor in `remarks.rs`")
                }));
                let is_known = |field: &String| {
                    parameters.contains(&field.as_str())
                        || ONLY_HERE.iter().any(|(a, op, name)| *a == api && op == action && name == field)
                };
                wrong.extend(fields.iter().filter(|field| !is_known(field)).map(|field| {
                    format!("{api:?} {action} {field}: it is read, and AWS has it not; is the list older? Run tests/clients/models.py")
                }));
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }

    #[test]
    fn every_remark_is_on_something_that_exists() {
        for (api, operation, parameter, served) in all_remarks() {
            let model = model(*api);
            let mut served_operations = model
                .iter()
                .filter(|(name, _)| (*operation == "*" || *operation == **name) && api.actions().contains(*name));
            let is_on = |(name, parameters): (&&str, &Vec<&str>)| {
                parameter.is_empty()
                    || parameters.iter().any(|p| remark(*api, name, p).is_some_and(|(on, _)| on == *parameter))
            };
            assert!(served_operations.any(is_on), "{api:?} {operation} {parameter}: on nothing");
            assert!(matches!(served, Served::Yes(_)) || !served.text().is_empty(), "{operation} {parameter}: why?");
        }
        let read = Read::all();
        for (api, operation, parameter) in ONLY_HERE {
            assert!(read.of(*api, operation).iter().any(|name| name == parameter), "{operation} {parameter}: not read");
        }
        for api in Api::ALL {
            for (operations, why, _) in absent(api, &model(api)) {
                assert!(!operations.is_empty(), "{api:?}: what is absent because \"{why}\" is all served");
            }
        }
    }

    #[test]
    fn all_29_operations_of_the_classic_api_are_yes() {
        let model = model(Api::Elb);
        assert_eq!(model.len(), 29);
        for (operation, parameters) in &model {
            let rows = rows(Api::Elb, operation, parameters);
            assert_eq!(whole(Api::Elb, operation, &rows).0, "yes", "{operation}");
        }
    }
}
