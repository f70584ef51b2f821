//! Instance refreshes in virtual time: shares hold at each Change, whatever boots, fails, or is asked in between.

use evenkeel_core::change::{AlarmChange, NewAlarm, NewRefresh, NewTemplateVersion, TemplateChange};
use evenkeel_core::name::{AlarmName, LaunchTemplateId, LaunchTemplateName, LaunchTemplateVersionId};
use evenkeel_core::noun::alarm::{Actions, AlarmState, Comparison, MetricName, MetricStat, Watched};
use evenkeel_core::noun::instance_refresh::{ProtectedMembers, REFRESHES_KEPT, StandbyMembers};
use evenkeel_core::noun::launch_template::{TemplateRef, TemplateSpecification, VersionRef};
use evenkeel_core::noun::{
    AlarmSettings, InstanceRefresh, LaunchData, LaunchTemplate, LaunchTemplateVersion, RefreshMark, RefreshPreferences,
    RefreshStatus,
};
use evenkeel_core::scaling::refresh::Share;

use super::*;

fn template() -> LaunchTemplateId {
    LaunchTemplateId::new("lt-00000001").unwrap()
}

fn version(version: VersionRef) -> LaunchSource {
    LaunchSource::Template(TemplateSpecification { template: TemplateRef::Id(template()), version })
}

fn numbered(number: u32) -> LaunchSource {
    version(VersionRef::Number(number))
}

fn bad_image() -> ImageId {
    ImageId::new("ami-00000bad").unwrap()
}

pub(super) fn preferences() -> RefreshPreferences {
    RefreshPreferences {
        share: Share { least: None, most: None },
        warmup: None,
        checkpoints: vec![],
        checkpoint_delay: 3_600,
        skips_matching: false,
        rolls_back: false,
        protected: ProtectedMembers::Wait,
        standby: StandbyMembers::Wait,
        alarms: vec![],
        bake: 0,
    }
}

/// A house with a template of three versions: two that boot, and one that never does.
fn house(seed: u64) -> House {
    let mut house = House::new(seed);
    house.bad.insert(bad_image());
    house.make(Change::RegisterImage(NewImage {
        id: bad_image(),
        name: "web bad".into(),
        description: String::new(),
        manifest: Manifest::new("web bad", vec!["web".into()], Port::new(80).unwrap()),
        location: "web-bad".into(),
        digest: "11".repeat(32),
        size: None,
        tags: BTreeMap::new(),
    }));
    let data = |image| LaunchData { image: Some(image), ..LaunchData::default() };
    let first = LaunchTemplateVersion {
        id: LaunchTemplateVersionId::of(&template(), 1).unwrap(),
        description: None,
        created: Timestamp(1),
        created_by: "me".into(),
        client_token: None,
        asked_for: None,
        data: data(image()),
    };
    let made = LaunchTemplate {
        id: template(),
        name: LaunchTemplateName::new("web").unwrap(),
        created: Timestamp(1),
        created_by: "me".into(),
        default: 1,
        numbered: 1,
        client_token: None,
        tags: BTreeMap::new(),
    };
    house.make(Change::LaunchTemplate(TemplateChange::Create { template: made, version: Box::new(first) }));
    for image in [image(), bad_image()] {
        house.make(Change::LaunchTemplate(TemplateChange::CreateVersion(Box::new(NewTemplateVersion {
            template: TemplateRef::Id(template()),
            source: None,
            description: None,
            created_by: "me".into(),
            client_token: None,
            asked_for: None,
            data: data(image),
        }))));
    }
    house
}

/// The same with a group of so many on the first version.
fn refreshed(seed: u64, desired: u32) -> House {
    let mut house = house(seed);
    let new = NewGroup { launch: numbered(1), ..house.wanted("g", 0, desired.max(1) * 2, desired) };
    house.scale(ScalingChange::CreateGroup(new));
    house.settle();
    assert_eq!(house.in_service("g").len(), desired as usize);
    house
}

impl House {
    fn start(&mut self, desired: Option<LaunchSource>, preferences: RefreshPreferences) -> Result<(), Refusal> {
        let id = self.dice.uuid();
        self.ask(&Change::Scale(ScalingChange::StartRefresh(NewRefresh { group: name("g"), id, desired, preferences })))
    }

    fn last(&self) -> &InstanceRefresh {
        self.group("g").refreshes.last().unwrap()
    }

    /// Time passes until a refresh is over, and its floor and roof hold at each step.
    fn over(&mut self, most: u64) -> RefreshStatus {
        for _ in 0..most {
            if self.last().status.is_over() {
                break;
            }
            self.step(1);
            self.held();
        }
        self.last().status
    }

    /// Whether there are as many as the shares say. Plainer than the rules: it counts who serves.
    fn held(&self) {
        let group = self.group("g");
        let Some(refresh) = group.refreshes.last() else { return };
        let Share { least, most } = refresh.preferences.share;
        let desired = group.desired as usize;
        let warmup = Duration::from_secs(refresh.preferences.warmup.unwrap_or(group.grace).into());
        let serves = |member: &&evenkeel_core::noun::Member| {
            let is_old = !matches!(member.refresh, Some(RefreshMark::New));
            let is_warm = member.in_service.is_some_and(|since| self.now >= since.plus(warmup));
            member.state == LifecycleState::InService && member.illness.is_none() && (is_old || is_warm)
        };
        let serving = group.members.values().filter(serves).count();
        let floor = (desired * least.unwrap_or(90) as usize).div_ceil(100);
        // One must go where no more may come (AWS).
        let forced = most.is_some_and(|most| desired * most as usize / 100 == desired) && floor == desired;
        let floor = if forced && least.unwrap_or(90) < 100 { desired - 1 } else { floor };
        assert!(serving >= floor, "{serving} of {desired} serve, {floor} are to: {group:#?}");
        let roof = (desired * most.unwrap_or(100) as usize / 100).max(desired + 1);
        assert!(group.capacity() as usize <= roof, "{} of {desired} are there: {group:#?}", group.capacity());
    }

    fn sources(&self) -> BTreeSet<Option<u32>> {
        let number = |source: &Option<LaunchSource>| match source {
            Some(LaunchSource::Template(of)) => match of.version {
                VersionRef::Number(number) => Some(number),
                _ => None,
            },
            _ => None,
        };
        self.group("g").members.values().filter(|m| m.state.counts()).map(|member| number(&member.source)).collect()
    }
}

#[test]
fn all_are_replaced_and_the_group_launches_with_what_they_run() {
    let mut house = refreshed(1, 6);
    let before = house.in_service("g");
    house.start(Some(numbered(2)), preferences()).unwrap();
    assert_eq!(house.last().status, RefreshStatus::Pending);
    assert!(matches!(house.start(None, preferences()).unwrap_err(), Refusal::Scaling(BadScaling::RefreshInProgress)));
    house.step(1);
    assert_eq!((house.last().status, house.group("g").launch.clone()), (RefreshStatus::InProgress, numbered(1)));
    let patch = GroupPatch { launch: Some(numbered(1)), ..GroupPatch::default() };
    let update = ScalingChange::UpdateGroup { group: name("g"), patch };
    assert!(matches!(house.refused(update), BadScaling::RefreshHolds));
    assert_eq!(house.over(200), RefreshStatus::Successful);
    house.settle();
    let group = house.group("g");
    assert_eq!((house.last().percent, house.last().left, group.launch.clone()), (100, 0, numbered(2)));
    let after = house.in_service("g");
    assert!(after.len() == 6 && before.iter().all(|id| !after.contains(id)));
    assert_eq!((house.sources(), house.by_zone("g")), ([Some(2)].into(), vec![2, 2, 2]));
    assert!(group.members.values().all(|member| member.refresh.is_none()));
    let told = "in response to an instance refresh";
    assert_eq!(house.activities().iter().filter(|activity| activity.cause.contains(told)).count(), 12);
    // With no other configuration, by what the group has.
    house.start(None, preferences()).unwrap();
    assert_eq!(house.over(200), RefreshStatus::Successful);
    assert!(house.in_service("g").iter().all(|id| !after.contains(id)));
    // Nobody is there: it is done at once.
    house.scale(ScalingChange::SetDesired { group: name("g"), desired: 0, honor_cooldown: false });
    house.settle();
    house.start(None, preferences()).unwrap();
    assert_eq!((house.over(5), house.last().percent), (RefreshStatus::Successful, 100));
}

#[test]
fn a_bad_image_is_rolled_back_or_given_up_after_three_that_came_to_nothing() {
    for (rolls_back, status) in [(true, RefreshStatus::RollbackSuccessful), (false, RefreshStatus::Failed)] {
        for most in [None, Some(100), Some(150)] {
            let mut house = refreshed(2, 6);
            let before = house.in_service("g");
            let share = Share { least: Some(90), most };
            house.start(Some(numbered(3)), RefreshPreferences { share, rolls_back, ..preferences() }).unwrap();
            assert_eq!(house.over(200), status, "{most:?}");
            let refresh = house.last().clone();
            let why =
                refresh.rollback.as_ref().map_or(refresh.reason.clone(), |rollback| Some(rollback.reason.clone()));
            assert!(why.as_ref().is_some_and(|why| why.contains("step 2 failed")), "{refresh:?}");
            assert_eq!((refresh.rollback.is_some(), refresh.percent), (rolls_back, 0));
            house.settle();
            let group = house.group("g");
            assert_eq!((group.launch.clone(), house.sources()), (numbered(1), [Some(1)].into()));
            let after = house.in_service("g");
            let kept = before.iter().filter(|id| after.contains(id)).count();
            assert!(after.len() == 6 && kept >= 5, "{kept} were kept");
        }
    }
}

#[test]
fn checkpoints_pause_it_and_it_bakes_at_the_end() {
    let mut house = refreshed(3, 4);
    let of = RefreshPreferences { checkpoints: vec![25, 50, 100], checkpoint_delay: 60, bake: 30, ..preferences() };
    house.start(Some(numbered(2)), of).unwrap();
    let updated = |house: &House| {
        let members = house.group("g").members.values();
        members.filter(|member| member.refresh == Some(RefreshMark::Updated)).count()
    };
    for (checkpoint, count) in [(1, 1), (2, 2)] {
        while house.last().checkpoint < checkpoint {
            house.step(1);
            house.held();
        }
        let until = house.last().until.unwrap();
        assert_eq!((updated(&house), until), (count, house.now.plus(Duration::from_secs(60))));
        for _ in 0..58 {
            house.step(1);
        }
        assert_eq!((updated(&house), house.group("g").capacity()), (count, 4), "it is paused");
    }
    while house.last().status == RefreshStatus::InProgress {
        house.step(1);
        house.held();
    }
    assert_eq!((house.last().status, updated(&house)), (RefreshStatus::Baking, 4));
    assert_eq!(house.group("g").launch, numbered(1), "it is not sure yet");
    for _ in 0..28 {
        house.step(1);
    }
    assert_eq!(house.last().status, RefreshStatus::Baking);
    house.step(2);
    assert_eq!((house.last().status, house.group("g").launch.clone()), (RefreshStatus::Successful, numbered(2)));
    // Checkpoints that end before all are replaced end it there.
    let some = RefreshPreferences { checkpoints: vec![50], ..preferences() };
    house.start(None, some).unwrap();
    assert_eq!((house.over(100), house.last().percent, house.last().left), (RefreshStatus::Successful, 50, 2));
}

#[test]
fn a_refresh_is_called_off_or_rolled_back_where_it_stands() {
    let mut house = refreshed(4, 6);
    let cancel = |waits| ScalingChange::CancelRefresh { group: name("g"), waits };
    let back = ScalingChange::RollBackRefresh { group: name("g") };
    assert!(matches!(house.refused(cancel(true)), BadScaling::NoRefresh(_)));
    assert!(matches!(house.refused(back.clone()), BadScaling::NoRefresh(_)));
    let until_half = |house: &mut House| {
        let updated = |house: &House| {
            house.group("g").members.values().filter(|m| m.refresh == Some(RefreshMark::Updated)).count()
        };
        while updated(house) < 3 {
            house.step(1);
            house.held();
        }
    };
    house.start(None, preferences()).unwrap();
    until_half(&mut house);
    assert!(matches!(house.refused(back.clone()), BadScaling::Irreversible(_)));
    house.scale(cancel(true));
    assert_eq!(house.last().status, RefreshStatus::Cancelling);
    assert_eq!(house.over(30), RefreshStatus::Cancelled);
    assert!(house.last().reason.as_ref().unwrap().starts_with("Cancelled due to user request"));

    house.start(Some(numbered(2)), preferences()).unwrap();
    until_half(&mut house);
    house.scale(back.clone());
    let rollback = house.last().rollback.clone().unwrap();
    assert!(rollback.percent >= 50 && rollback.left >= 2, "{rollback:?}");
    assert_eq!(house.over(100), RefreshStatus::RollbackSuccessful);
    assert_eq!((house.sources(), house.last().percent), ([Some(1)].into(), 0));
    house.settle();
    assert_eq!(house.in_service("g").len(), 6);

    // A way back that leads nowhere is given up, too.
    house.start(Some(numbered(2)), preferences()).unwrap();
    until_half(&mut house);
    house.boots = Boots::Never;
    house.scale(back.clone());
    assert_eq!(house.over(100), RefreshStatus::RollbackFailed);
    house.boots = Boots::Well;
    house.settle();
    assert_eq!(house.in_service("g").len(), 6);

    house.start(Some(numbered(2)), preferences()).unwrap();
    until_half(&mut house);
    house.scale(cancel(false));
    assert_eq!(house.last().status, RefreshStatus::Cancelled);
    house.settle();
    assert_eq!((house.in_service("g").len(), house.group("g").launch.clone()), (6, numbered(1)));

    // From the newest version of a template there is no way back.
    let patch = GroupPatch { launch: Some(version(VersionRef::Latest)), ..GroupPatch::default() };
    house.scale(ScalingChange::UpdateGroup { group: name("g"), patch });
    let rolls_back = RefreshPreferences { rolls_back: true, ..preferences() };
    let refused = house.start(Some(numbered(2)), rolls_back.clone()).unwrap_err();
    assert!(matches!(refused, Refusal::Scaling(BadScaling::Refresh(_))), "{refused}");
    assert!(house.start(None, rolls_back).is_err());
    house.start(Some(numbered(2)), preferences()).unwrap();
    assert!(matches!(house.refused(back), BadScaling::Irreversible(_)));
    // The group's end is the refresh's.
    house.step(1);
    house.scale(ScalingChange::DeleteGroup { group: name("g"), force: true });
    assert_eq!(house.last().status, RefreshStatus::Cancelled);
}

#[test]
fn protected_and_standing_members_are_waited_for_spared_or_replaced() {
    let check = |protected, standby, status, stay: usize, standing: usize| {
        let mut house = refreshed(5, 4);
        let members = house.in_service("g");
        let (kept, standing_by) = (members[0].clone(), members[1].clone());
        house.scale(ScalingChange::SetProtection {
            group: name("g"),
            instances: vec![kept.clone()],
            is_protected: true,
        });
        let instances = vec![(standing_by.clone(), house.activity())];
        house.scale(ScalingChange::EnterStandby { group: name("g"), instances, decrement: true });
        house.settle();
        house.start(Some(numbered(2)), RefreshPreferences { protected, standby, ..preferences() }).unwrap();
        assert_eq!(house.over(3_900), status, "{protected:?} {standby:?}");
        house.settle();
        let members = &house.group("g").members;
        assert_eq!((usize::from(members.contains_key(&kept)), members.len()), (stay, 3 + standing));
        assert_eq!(members.contains_key(&standing_by), standing == 1);
    };
    use {ProtectedMembers as P, RefreshStatus as S, StandbyMembers as B};
    check(P::Refresh, B::Terminate, S::Successful, 0, 0);
    check(P::Ignore, B::Ignore, S::Successful, 1, 1);
    check(P::Wait, B::Ignore, S::Failed, 1, 1);
    check(P::Refresh, B::Wait, S::Failed, 0, 1);
}

#[test]
fn an_alarm_fails_it_and_suspension_pauses_it() {
    let mut house = refreshed(6, 4);
    let alarm = AlarmName::new("errors").unwrap();
    let of = RefreshPreferences { alarms: vec![alarm.clone()], rolls_back: true, bake: 600, ..preferences() };
    let missing = house.start(Some(numbered(2)), of.clone()).unwrap_err();
    assert!(matches!(missing, Refusal::Scaling(BadScaling::Refresh(_))), "{missing}");
    let metric = MetricName { namespace: "App".into(), name: "Errors".into(), dimensions: vec![] };
    let settings = AlarmSettings {
        description: None,
        actions: Actions { ok: vec![], alarm: vec![], insufficient_data: vec![] },
        watched: Watched::Metric(MetricStat { metric, period: 60, statistic: "Sum".into(), unit: None }),
        evaluation_periods: 1,
        datapoints_to_alarm: None,
        threshold: 1.0,
        comparison: Comparison::GreaterThanThreshold,
        missing: None,
        low_samples: None,
    };
    let put = NewAlarm { name: alarm.clone(), settings, actions_enabled: true, tags: BTreeMap::new() };
    house.make(Change::Alarm(AlarmChange::Put(Box::new(put))));
    house.start(Some(numbered(2)), of).unwrap();
    house.step(1);
    house.scale(ScalingChange::Suspend { group: name("g"), processes: [Process::InstanceRefresh].into() });
    // The one that was launched comes into service; for hours nobody else does.
    for _ in 0..300 {
        house.step(60);
        house.held();
    }
    assert_eq!((house.last().status, house.group("g").capacity()), (RefreshStatus::InProgress, 5));
    house.scale(ScalingChange::Resume { group: name("g"), processes: [Process::InstanceRefresh].into() });
    while house.last().status != RefreshStatus::Baking {
        house.step(1);
        house.held();
    }
    let (reason, data) = ("by hand".to_owned(), None);
    house.make(Change::Alarm(AlarmChange::SetState { alarm, state: AlarmState::Alarm, reason, data }));
    assert_eq!(house.over(200), RefreshStatus::RollbackSuccessful);
    let reason = house.last().rollback.clone().unwrap().reason;
    assert!(reason.contains("the alarm errors is in the ALARM state"), "{reason}");
    assert_eq!((house.sources(), house.group("g").launch.clone()), ([Some(1)].into(), numbered(1)));
}

#[test]
fn those_that_match_already_are_skipped_and_the_last_twenty_are_known() {
    let mut house = refreshed(7, 3);
    let skips = RefreshPreferences { skips_matching: true, ..preferences() };
    let before = house.in_service("g");
    house.start(Some(numbered(1)), skips.clone()).unwrap();
    assert_eq!((house.over(10), house.last().percent), (RefreshStatus::Successful, 100));
    assert_eq!(house.in_service("g"), before);
    let patch = GroupPatch { launch: Some(numbered(2)), desired: Some(4), ..GroupPatch::default() };
    house.scale(ScalingChange::UpdateGroup { group: name("g"), patch });
    house.settle();
    let newest = house.in_service("g").into_iter().find(|id| !before.contains(id)).unwrap();
    house.start(None, skips).unwrap();
    assert_eq!(house.over(100), RefreshStatus::Successful);
    let after = house.in_service("g");
    assert!(after.contains(&newest) && before.iter().all(|id| !after.contains(id)) && after.len() == 4);
    for _ in 0..REFRESHES_KEPT + 3 {
        house.start(None, preferences()).unwrap();
        house.scale(ScalingChange::CancelRefresh { group: name("g"), waits: true });
        assert_eq!(house.last().status, RefreshStatus::Cancelled, "it had not begun");
    }
    assert_eq!(house.group("g").refreshes.len(), REFRESHES_KEPT);
    house.now = house.now.plus(Duration::from_secs(43 * 24 * 3600));
    house.start(None, preferences()).unwrap();
    assert_eq!(house.group("g").refreshes.len(), 1, "older ones are forgotten");
}

#[test]
fn a_new_one_counts_once_its_balancer_sends_it_requests_and_it_is_warm() {
    let mut house = house(8);
    house.balancer("web");
    let new = NewGroup { launch: numbered(1), balancers: [balancer("web")].into(), ..house.wanted("g", 1, 2, 1) };
    house.scale(ScalingChange::CreateGroup(new));
    house.settle();
    let first = house.in_service("g")[0].clone();
    house.start(Some(numbered(2)), RefreshPreferences { warmup: Some(20), ..preferences() }).unwrap();
    for _ in 0..60 {
        house.step(1);
    }
    let members = house.in_service("g");
    assert!(members.len() == 2 && members.contains(&first), "the balancer has not said that the new one is well");
    let second = members.into_iter().find(|id| *id != first).unwrap();
    let health = Arc::new(BTreeMap::from([((balancer("web"), second.clone()), Health::InService)]));
    house.sightings.road = Some(RoadSeen { health, ..RoadSeen::default() });
    house.step(1);
    house.step(1);
    assert_eq!((house.in_service("g"), house.last().status), (vec![second], RefreshStatus::Successful));
}

/// Whatever the shares, the boots and what is asked in between: never fewer, never more, and an end.
#[test]
fn shares_hold_whatever_boots_fails_or_is_asked() {
    for seed in 1..=150u64 {
        let mut dice = Dice(seed.wrapping_mul(104_729) | 1);
        let desired = 1 + dice.below(12) as u32;
        let mut house = refreshed(seed, desired);
        house.unlucky = [0, 0, 10, 30][dice.below(4)];
        house.boot_time = Duration::from_secs(1 + dice.below(9) as u64);
        let least = [None, Some(0), Some(50), Some(90), Some(100)][dice.below(5)];
        let most = least.map(|least| [100, 110, 150, 200][dice.below(4)].min(least + 100)).filter(|_| dice.chance(60));
        let some = |dice: &mut Dice| if dice.chance(70) { vec![] } else { vec![20, 50, 100] };
        let of = RefreshPreferences {
            share: Share { least, most },
            warmup: Some([0, 0, 7][dice.below(3)]),
            checkpoints: some(&mut dice),
            checkpoint_delay: 5,
            rolls_back: dice.chance(50),
            bake: if dice.chance(30) { 10 } else { 0 },
            ..preferences()
        };
        let to = 2 + u32::from(dice.chance(30));
        house.start(Some(numbered(to)), of).unwrap();
        let mut asked = 0;
        for _ in 0..4_000 {
            if house.last().status.is_over() {
                break;
            }
            if asked < 3 && dice.chance(2) {
                asked += 1;
                let group = name("g");
                let change = match dice.below(5) {
                    0 => ScalingChange::CancelRefresh { group, waits: dice.chance(50) },
                    1 => ScalingChange::RollBackRefresh { group },
                    2 => ScalingChange::Suspend { group, processes: [Process::InstanceRefresh].into() },
                    3 => ScalingChange::Suspend { group, processes: [Process::Launch].into() },
                    _ => ScalingChange::Resume { group, processes: Process::ALL.into() },
                };
                drop(house.ask(&Change::Scale(change)));
            } else if dice.chance(10) {
                house.scale(ScalingChange::Resume { group: name("g"), processes: Process::ALL.into() });
            }
            house.step(1);
            house.held();
            let reloaded =
                World::load(house.world.settings().clone(), house.world.generation(), house.rows.values().cloned());
            assert!(reloaded == house.world, "seed {seed}: rows make another World");
        }
        let status = house.last().status;
        assert!(status.is_over(), "seed {seed}: {:#?}", house.last());
        house.unlucky = 0;
        house.scale(ScalingChange::Resume { group: name("g"), processes: Process::ALL.into() });
        house.settle();
        let group = house.group("g");
        assert_eq!(house.in_service("g").len(), desired as usize, "seed {seed} {status:?}: {group:#?}");
        assert_eq!(group.members.len(), desired as usize, "seed {seed}");
        let all_of = |number| house.sources() == [Some(number)].into();
        match status {
            RefreshStatus::Successful => assert!(all_of(to) && group.launch == numbered(to), "seed {seed}"),
            RefreshStatus::RollbackSuccessful => assert!(all_of(1) && group.launch == numbered(1), "seed {seed}"),
            _ => assert_eq!(group.launch, numbered(1), "seed {seed}"),
        }
    }
}

#[test]
fn zones_are_as_even_as_before_when_it_is_over() {
    for seed in 1..=40 {
        let mut house = refreshed(seed, 6);
        for most in [None, Some(150), Some(100)] {
            let share = Share { least: Some(90), most };
            house.start(Some(numbered(2)), RefreshPreferences { share, ..preferences() }).unwrap();
            assert_eq!(house.over(200), RefreshStatus::Successful);
            let serves = |at: &ZoneName| {
                let members = house.group("g").members.values();
                members.filter(|member| member.state == LifecycleState::InService && member.zone == *at).count()
            };
            assert_eq!(ZONES.map(|at| serves(&zone(at))), [2, 2, 2], "seed {seed}, {most:?}");
        }
    }
}
