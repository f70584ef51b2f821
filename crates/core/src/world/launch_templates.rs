//! What may happen to launch templates, and what a launch comes to that names one.
//!
//! Owns names, numbers and defaults of versions, and [`World::launch_parameters`], the one way from what is stated to what is
//! launched: RunInstances and groups both go it. Must never launch anything. Source: EC2 API, "CreateLaunchTemplateVersion".

use std::collections::BTreeSet;
use std::sync::Arc;

use super::{Decision, Key, Row, World, Write, tags};
use crate::change::{NewTemplateVersion, Reply, TemplateChange, VersionFate};
use crate::name::{LaunchTemplateId, LaunchTemplateVersionId};
use crate::noun::launch_template::{
    INSTANCE, LaunchParameters, TemplateRef, TemplateSpecification, USUAL_TYPE, VersionRef,
};
use crate::noun::security_group::DEFAULT;
use crate::noun::{LaunchData, LaunchTemplate, LaunchTemplateVersion};
use crate::refusal::Refusal;
use crate::time::Timestamp;

/// The most launch templates there may be (AWS: 5,000 a region).
pub const MOST_TEMPLATES: usize = 5000;
/// The most versions that there may be of one (AWS).
pub const MOST_VERSIONS: usize = 10_000;
/// The most versions that there may be of all: each may hold 16 KiB of user data in memory.
pub const MOST_VERSIONS_OF_ALL: usize = 50_000;

impl World {
    /// A launch template.
    #[must_use]
    pub fn launch_template(&self, id: &LaunchTemplateId) -> Option<&Arc<LaunchTemplate>> {
        self.launch_templates.get(id)
    }

    /// All launch templates, by id.
    pub fn launch_templates(&self) -> impl Iterator<Item = &Arc<LaunchTemplate>> {
        self.launch_templates.values()
    }

    /// A version of a launch template.
    #[must_use]
    pub fn launch_template_version(&self, id: &LaunchTemplateVersionId) -> Option<&Arc<LaunchTemplateVersion>> {
        self.template_versions.get(id)
    }

    /// The versions of a launch template, by number.
    pub fn versions_of(
        &self,
        template: &LaunchTemplateId,
    ) -> impl DoubleEndedIterator<Item = &Arc<LaunchTemplateVersion>> {
        let ends = LaunchTemplateVersionId::of(template, 0).zip(LaunchTemplateVersionId::of(template, u32::MAX));
        let range = ends.map(|(first, last)| self.template_versions.range(first..=last));
        range.into_iter().flatten().map(|(_, version)| version)
    }

    /// The number of a template's newest version: the highest that is still there.
    #[must_use]
    pub fn latest_version(&self, template: &LaunchTemplateId) -> u32 {
        self.versions_of(template).next_back().map_or(0, |version| version.id.number())
    }

    /// The template of an id or a name, or why there is none.
    pub fn template_named(&self, which: &TemplateRef) -> Result<&Arc<LaunchTemplate>, Refusal> {
        let held = match which {
            TemplateRef::Id(id) => self.launch_template(id),
            TemplateRef::Name(name) => self.launch_templates().find(|template| template.name == *name),
        };
        held.ok_or_else(|| Refusal::NoSuchTemplate(which.clone()))
    }

    /// A version of a template as a call names it, or why there is none.
    pub fn template_version(
        &self,
        template: &LaunchTemplate,
        version: VersionRef,
    ) -> Result<&Arc<LaunchTemplateVersion>, Refusal> {
        let number = match version {
            VersionRef::Default => template.default,
            VersionRef::Latest => self.latest_version(&template.id),
            VersionRef::Number(number) => number,
        };
        let held = LaunchTemplateVersionId::of(&template.id, number).and_then(|id| self.launch_template_version(&id));
        held.ok_or_else(|| Refusal::NoSuchTemplateVersion { template: template.id.clone(), version })
    }

    /// All that a launch comes to: what it states, over what the template states that it names, over what is usual.
    ///
    /// # Errors
    /// No such template or version; no image in either; security groups that are not there.
    pub fn launch_parameters(
        &self,
        stated: LaunchData,
        specification: Option<&TemplateSpecification>,
    ) -> Result<LaunchParameters, Refusal> {
        let version = match specification {
            None => None,
            Some(TemplateSpecification { template, version }) => {
                Some(self.template_version(self.template_named(template)?, *version)?)
            }
        };
        let data = match version {
            Some(version) => stated.over(&version.data),
            None => stated,
        };
        let groups = self.group_names(&data)?;
        Ok(LaunchParameters {
            from: version.map(|version| version.id.clone()),
            image: data.image.ok_or(Refusal::Missing("ImageId"))?,
            zone: data.zone,
            instance_type: data.instance_type.unwrap_or_else(|| USUAL_TYPE.to_owned()),
            key_name: data.key_name,
            groups,
            user_data: data.user_data.filter(|text| !text.is_empty()),
            shutdown: data.shutdown.unwrap_or_default(),
            termination_protected: data.termination_protected == Some(true),
            stop_protected: data.stop_protected == Some(true),
            tags: data.tags.get(INSTANCE).cloned().unwrap_or_default(),
        })
    }

    /// The security groups of a launch, by name: those that are named or numbered, else the default one.
    fn group_names(&self, data: &LaunchData) -> Result<Vec<String>, Refusal> {
        let mut names = BTreeSet::new();
        for name in &data.group_names {
            let known = self.security_groups().any(|group| group.name == *name);
            if !known {
                return Err(Refusal::NoSuchGroupNamed(name.chars().take(128).collect()));
            }
            names.insert(name.clone());
        }
        for id in &data.group_ids {
            names.insert(self.existing_group(id)?.name.clone());
        }
        Ok(if names.is_empty() { vec![DEFAULT.to_owned()] } else { names.into_iter().collect() })
    }

    pub(super) fn change_template(&self, change: &TemplateChange, now: Timestamp) -> Result<Decision, Refusal> {
        match change {
            TemplateChange::Create { template, version } => self.create_template(template, version, now),
            TemplateChange::CreateVersion(new) => self.create_template_version(new, now),
            TemplateChange::SetDefault { template, version } => self.set_default_template_version(template, *version),
            TemplateChange::Delete { template } => self.delete_template(template),
            TemplateChange::DeleteVersions { template, versions } => self.delete_template_versions(template, versions),
        }
    }

    fn create_template(
        &self,
        new: &LaunchTemplate,
        version: &LaunchTemplateVersion,
        now: Timestamp,
    ) -> Result<Decision, Refusal> {
        tags::check(&new.tags, tags::PER_RESOURCE)?;
        self.check_data(&version.data)?;
        if let Some(token) = &new.client_token
            && let Some(held) = self.launch_templates().find(|held| held.client_token.as_ref() == Some(token))
        {
            let first = LaunchTemplateVersionId::of(&held.id, 1);
            let first = first.and_then(|id| self.launch_template_version(&id));
            return match first {
                Some(first) if held.name == new.name && first.asked_for == version.asked_for => {
                    Ok(Decision::unchanged(Reply::TemplateVersion(first.id.clone())))
                }
                _ => Err(Refusal::TokenReused(token.clone())),
            };
        }
        if self.launch_templates().any(|held| held.name == new.name) {
            return Err(Refusal::TemplateNameTaken(new.name.clone()));
        }
        if self.launch_template(&new.id).is_some() {
            return Err(Refusal::IdTaken(new.id.to_string()));
        }
        self.room_for_version(&new.id)?;
        if self.launch_templates.len() >= MOST_TEMPLATES {
            return Err(Refusal::TooManyTemplates { what: "launch templates", limit: MOST_TEMPLATES });
        }
        let id = LaunchTemplateVersionId::of(&new.id, 1).ok_or_else(|| Refusal::IdTaken(new.id.to_string()))?;
        let template = LaunchTemplate { created: now, default: 1, numbered: 1, ..new.clone() };
        let version = LaunchTemplateVersion { id: id.clone(), created: now, ..version.clone() };
        let writes = vec![Write::Put(Row::LaunchTemplate(template)), Write::Put(Row::LaunchTemplateVersion(version))];
        Ok(Decision { reply: Reply::TemplateVersion(id), writes })
    }

    fn create_template_version(&self, new: &NewTemplateVersion, now: Timestamp) -> Result<Decision, Refusal> {
        let template = self.template_named(&new.template)?;
        if let Some(token) = &new.client_token
            && let Some(held) = self.versions_of(&template.id).find(|held| held.client_token.as_ref() == Some(token))
        {
            return if held.asked_for == new.asked_for {
                Ok(Decision::unchanged(Reply::TemplateVersion(held.id.clone())))
            } else {
                Err(Refusal::TokenReused(token.clone()))
            };
        }
        let data = match new.source {
            None => new.data.clone(),
            Some(source) => new.data.clone().over(&self.template_version(template, source)?.data),
        };
        self.check_data(&data)?;
        self.room_for_version(&template.id)?;
        let mut template = template.as_ref().clone();
        template.numbered = template.numbered.saturating_add(1);
        let id = LaunchTemplateVersionId::of(&template.id, template.numbered)
            .filter(|id| self.launch_template_version(id).is_none())
            .ok_or_else(|| Refusal::IdTaken(template.id.to_string()))?;
        let version = LaunchTemplateVersion {
            id: id.clone(),
            description: new.description.clone(),
            created: now,
            created_by: new.created_by.clone(),
            client_token: new.client_token.clone(),
            asked_for: new.asked_for.clone(),
            data,
        };
        let writes = vec![Write::Put(Row::LaunchTemplate(template)), Write::Put(Row::LaunchTemplateVersion(version))];
        Ok(Decision { reply: Reply::TemplateVersion(id), writes })
    }

    fn set_default_template_version(&self, which: &TemplateRef, version: VersionRef) -> Result<Decision, Refusal> {
        let held = self.template_named(which)?;
        let default = self.template_version(held, version)?.id.number();
        if held.default == default {
            return Ok(Decision::unchanged(Reply::Unchanged));
        }
        let template = LaunchTemplate { default, ..held.as_ref().clone() };
        Ok(Decision { reply: Reply::Done, writes: vec![Write::Put(Row::LaunchTemplate(template))] })
    }

    fn delete_template(&self, id: &LaunchTemplateId) -> Result<Decision, Refusal> {
        self.template_named(&TemplateRef::Id(id.clone()))?;
        let versions = self.versions_of(id).map(|held| Write::Remove(Key::LaunchTemplateVersion(held.id.clone())));
        let writes = versions.chain([Write::Remove(Key::LaunchTemplate(id.clone()))]).collect();
        Ok(Decision { reply: Reply::Done, writes })
    }

    fn delete_template_versions(&self, id: &LaunchTemplateId, versions: &[u32]) -> Result<Decision, Refusal> {
        let template = self.template_named(&TemplateRef::Id(id.clone()))?;
        let fate = |number: u32| {
            let there = LaunchTemplateVersionId::of(id, number).filter(|id| self.launch_template_version(id).is_some());
            match there {
                None => (None, VersionFate::Missing),
                Some(_) if number == template.default => (None, VersionFate::Default),
                Some(id) => (Some(id), VersionFate::Deleted),
            }
        };
        let numbers: BTreeSet<u32> = versions.iter().copied().collect();
        let fates: Vec<_> = numbers.into_iter().map(|number| (number, fate(number))).collect();
        let gone = fates.iter().filter_map(|(_, (id, _))| id.clone());
        let writes = gone.map(|id| Write::Remove(Key::LaunchTemplateVersion(id))).collect();
        let told = fates.into_iter().map(|(number, (_, fate))| (number, fate)).collect();
        Ok(Decision { reply: Reply::VersionsDeleted(told), writes })
    }

    fn check_data(&self, data: &LaunchData) -> Result<(), Refusal> {
        if data.is_empty() {
            return Err(Refusal::Missing("LaunchTemplateData"));
        }
        if let Some(zone) = &data.zone {
            self.known_zone(zone)?;
        }
        data.tags.values().try_for_each(|tags| tags::check(tags, tags::PER_RESOURCE))
    }

    fn room_for_version(&self, template: &LaunchTemplateId) -> Result<(), Refusal> {
        let (of_one, of_all) = (self.versions_of(template).count(), self.template_versions.len());
        let limit = if of_one >= MOST_VERSIONS {
            MOST_VERSIONS
        } else if of_all >= MOST_VERSIONS_OF_ALL {
            MOST_VERSIONS_OF_ALL
        } else {
            return Ok(());
        };
        Err(Refusal::TooManyTemplates { what: "launch template versions", limit })
    }

    pub(super) fn template_rows(&self) -> impl Iterator<Item = Row> + '_ {
        let templates = self.launch_templates.values().map(|t| Row::LaunchTemplate(t.as_ref().clone()));
        templates.chain(self.template_versions.values().map(|v| Row::LaunchTemplateVersion(v.as_ref().clone())))
    }

    /// What is true of templates and versions in every World, where it is not.
    pub(super) fn broken_templates(&self) -> Vec<String> {
        let mut broken = Vec::new();
        let mut names = BTreeSet::new();
        for template in self.launch_templates() {
            let id = &template.id;
            if !names.insert(&template.name) {
                broken.push(format!("two launch templates are called `{}`", template.name));
            }
            if self.template_version(template, VersionRef::Default).is_err() {
                broken.push(format!("{id} has no version {}, which is its default one", template.default));
            }
            if self.latest_version(id) > template.numbered {
                broken.push(format!("{id} has a version beyond the {} that there were", template.numbered));
            }
        }
        let orphans = self.template_versions.keys().filter(|id| {
            id.number() == 0 || id.template().is_none_or(|template| self.launch_template(&template).is_none())
        });
        broken.extend(orphans.map(|id| format!("{id} is a version of no launch template")));
        broken
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::change::Change;
    use crate::name::{GroupId, ImageId, LaunchTemplateName, ZoneName};
    use crate::noun::SecurityGroup;
    use crate::world::{Limits, Settings};

    fn world() -> World {
        World::empty(Settings {
            region: "us-east-1".into(),
            zones: vec![ZoneName::new("us-east-1a").unwrap()],
            capacity: BTreeMap::new(),
            account: "000000000000".into(),
            dns_domain: "elb.evenkeel.test".into(),
            node_pool: "127.80.0.0/27".parse().unwrap(),
            instance_pool: "127.81.0.0/27".parse().unwrap(),
            instance_pools: BTreeMap::new(),
            lowest_port: 0,
            port_shift: 0,
            limits: Limits::default(),
        })
    }

    fn id(number: u32) -> LaunchTemplateId {
        LaunchTemplateId::new(format!("lt-{number:017x}")).unwrap()
    }

    fn by_name(name: &str) -> TemplateRef {
        TemplateRef::Name(LaunchTemplateName::new(name).unwrap())
    }

    fn of_type(name: &str) -> LaunchData {
        LaunchData { instance_type: Some(name.into()), ..LaunchData::default() }
    }

    fn create(number: u32, name: &str, token: Option<&str>, data: LaunchData) -> Change {
        let version = LaunchTemplateVersion {
            id: LaunchTemplateVersionId::of(&id(number), 1).unwrap(),
            description: None,
            created: Timestamp(0),
            created_by: "me".into(),
            client_token: None,
            asked_for: token.map(|_| format!("{data:?}")),
            data,
        };
        let template = LaunchTemplate {
            id: id(number),
            name: LaunchTemplateName::new(name).unwrap(),
            created: Timestamp(0),
            created_by: "me".into(),
            default: 0,
            numbered: 0,
            client_token: token.map(ToOwned::to_owned),
            tags: BTreeMap::new(),
        };
        Change::LaunchTemplate(TemplateChange::Create { template, version: Box::new(version) })
    }

    fn version(name: &str, source: Option<VersionRef>, token: Option<&str>, data: LaunchData) -> Change {
        Change::LaunchTemplate(TemplateChange::CreateVersion(Box::new(NewTemplateVersion {
            template: by_name(name),
            source,
            description: None,
            created_by: "me".into(),
            client_token: token.map(ToOwned::to_owned),
            asked_for: token.map(|_| format!("{data:?}")),
            data,
        })))
    }

    fn made(number: u32, version: u32) -> Result<Reply, Refusal> {
        Ok(Reply::TemplateVersion(LaunchTemplateVersionId::of(&id(number), version).unwrap()))
    }

    #[test]
    fn versions_are_numbered_once_and_the_default_one_stays() {
        let mut world = world();
        let mut apply = |change: &Change| {
            let reply = world.apply(change, Timestamp(5));
            assert_eq!(world.broken_invariants(), Vec::<String>::new());
            (reply, world.latest_version(&id(1)), world.launch_template(&id(1)).map(|t| t.default))
        };
        assert_eq!(apply(&create(1, "web", None, of_type("a.b"))), (made(1, 1), 1, Some(1)));
        let taken = Refusal::TemplateNameTaken(LaunchTemplateName::new("web").unwrap());
        assert_eq!(apply(&create(2, "web", None, of_type("a.b"))).0, Err(taken));
        assert_eq!(apply(&create(1, "api", None, of_type("a.b"))).0, Err(Refusal::IdTaken(id(1).to_string())));
        let empty = Refusal::Missing("LaunchTemplateData");
        assert_eq!(apply(&create(3, "api", None, LaunchData::default())).0, Err(empty));
        assert_eq!(apply(&version("web", None, None, of_type("c.d"))), (made(1, 2), 2, Some(1)));
        assert_eq!(apply(&version("web", None, None, of_type("e.f"))), (made(1, 3), 3, Some(1)));
        let delete = |versions: &[u32]| {
            Change::LaunchTemplate(TemplateChange::DeleteVersions { template: id(1), versions: versions.into() })
        };
        let told = vec![(1, VersionFate::Default), (3, VersionFate::Deleted), (9, VersionFate::Missing)];
        assert_eq!(apply(&delete(&[9, 3, 1, 3])), (Ok(Reply::VersionsDeleted(told)), 2, Some(1)));
        // The number of one that is gone is not given again.
        assert_eq!(apply(&version("web", None, None, of_type("g.h"))), (made(1, 4), 4, Some(1)));
        let default =
            |version| Change::LaunchTemplate(TemplateChange::SetDefault { template: by_name("web"), version });
        let missing = Refusal::NoSuchTemplateVersion { template: id(1), version: VersionRef::Number(3) };
        assert_eq!(apply(&default(VersionRef::Number(3))).0, Err(missing));
        assert_eq!(apply(&default(VersionRef::Latest)), (Ok(Reply::Done), 4, Some(4)));
        assert_eq!(apply(&default(VersionRef::Number(4))), (Ok(Reply::Unchanged), 4, Some(4)));
        let gone = Change::LaunchTemplate(TemplateChange::Delete { template: id(1) });
        assert_eq!(apply(&gone), (Ok(Reply::Done), 0, None));
        let none = Refusal::NoSuchTemplate(by_name("web"));
        assert_eq!(none.to_string(), "The specified launch template, with template name web, does not exist.");
        assert_eq!(apply(&version("web", None, None, of_type("c.d"))).0, Err(none));
        assert_eq!(world.rows().count(), 0);
    }

    #[test]
    fn a_token_finds_what_was_made_with_it() {
        let mut world = world();
        let mut apply = |change: &Change| world.apply(change, Timestamp(5));
        assert_eq!(apply(&create(1, "web", Some("t"), of_type("a.b"))), made(1, 1));
        assert_eq!(apply(&create(2, "web", Some("t"), of_type("a.b"))), made(1, 1));
        let reused = Err(Refusal::TokenReused("t".into()));
        assert_eq!(apply(&create(2, "web", Some("t"), of_type("c.d"))), reused);
        assert_eq!(apply(&create(2, "api", Some("t"), of_type("a.b"))), reused);
        assert_eq!(apply(&version("web", None, Some("v"), of_type("c.d"))), made(1, 2));
        assert_eq!(apply(&version("web", None, Some("v"), of_type("c.d"))), made(1, 2));
        assert_eq!(apply(&version("web", None, Some("v"), of_type("e.f"))), Err(Refusal::TokenReused("v".into())));
    }

    #[test]
    fn a_launch_is_what_it_states_over_its_template_over_what_is_usual() {
        let mut world = world();
        let group = |number: u32, name: &str| SecurityGroup {
            id: GroupId::new(format!("sg-{number:08x}")).unwrap(),
            name: name.into(),
            description: String::new(),
            ingress: vec![],
            egress: vec![],
            created: Timestamp(0),
            tags: BTreeMap::new(),
        };
        for change in [Change::CreateSecurityGroup(group(1, "web")), Change::CreateSecurityGroup(group(2, "db"))] {
            world.apply(&change, Timestamp(1)).unwrap();
        }
        let image = |number: u32| Some(ImageId::new(format!("ami-{number:08x}")).unwrap());
        let tags = |value: &str| BTreeMap::from([(INSTANCE.into(), BTreeMap::from([("Name".into(), value.into())]))]);
        let first = LaunchData {
            image: image(1),
            instance_type: Some("t2.micro".into()),
            group_ids: vec![GroupId::new("sg-00000002").unwrap()],
            termination_protected: Some(true),
            tags: tags("first"),
            ..LaunchData::default()
        };
        world.apply(&create(1, "web", None, first), Timestamp(1)).unwrap();
        let second = LaunchData { image: image(2), ..LaunchData::default() };
        world.apply(&version("web", Some(VersionRef::Number(1)), None, second), Timestamp(1)).unwrap();
        world.apply(&version("web", None, None, of_type("m1.large")), Timestamp(1)).unwrap();
        let from = |version| TemplateSpecification { template: by_name("web"), version };
        let launch = |stated, from: Option<&TemplateSpecification>| world.launch_parameters(stated, from);

        let plain = launch(LaunchData::default(), Some(&from(VersionRef::Default))).unwrap();
        assert_eq!(
            (plain.from.clone(), plain.image.clone()),
            (LaunchTemplateVersionId::of(&id(1), 1), image(1).unwrap())
        );
        assert_eq!((plain.instance_type.as_str(), plain.groups), ("t2.micro", vec!["db".to_owned()]));
        assert!(plain.termination_protected && !plain.stop_protected);
        assert_eq!(plain.tags, tags("first")[INSTANCE]);

        let merged = launch(LaunchData::default(), Some(&from(VersionRef::Number(2)))).unwrap();
        assert_eq!((merged.image, merged.instance_type.as_str()), (image(2).unwrap(), "t2.micro"));

        let stated = LaunchData {
            image: image(3),
            group_names: vec!["web".into(), "db".into(), "web".into()],
            termination_protected: Some(false),
            tags: tags("own"),
            ..LaunchData::default()
        };
        let own = launch(stated, Some(&from(VersionRef::Latest))).unwrap();
        assert_eq!((own.image, own.instance_type.as_str()), (image(3).unwrap(), "m1.large"));
        assert_eq!(own.groups, ["db", "web"]);
        assert!(!own.termination_protected);
        assert_eq!(own.tags, tags("own")[INSTANCE]);

        let usual = launch(LaunchData { image: image(1), ..LaunchData::default() }, None).unwrap();
        assert_eq!((usual.instance_type.as_str(), usual.groups), (USUAL_TYPE, vec![DEFAULT.to_owned()]));
        assert_eq!(launch(LaunchData::default(), None), Err(Refusal::Missing("ImageId")));
        assert_eq!(launch(LaunchData::default(), Some(&from(VersionRef::Latest))), Err(Refusal::Missing("ImageId")));
        let unknown = LaunchData { image: image(1), group_names: vec!["x".into()], ..LaunchData::default() };
        assert_eq!(launch(unknown, None), Err(Refusal::NoSuchGroupNamed("x".into())));
        let absent = Refusal::NoSuchTemplateVersion { template: id(1), version: VersionRef::Number(9) };
        assert_eq!(launch(LaunchData::default(), Some(&from(VersionRef::Number(9)))), Err(absent));
    }
}
