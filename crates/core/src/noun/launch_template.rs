//! Launch templates: what a launch may leave unsaid, kept under a name in numbered versions.
//!
//! Owns their shape, what it means to state one launch over another ([`LaunchData::over`]), and what a launch comes to
//! ([`LaunchParameters`]). Must never look anything up: which template and version is meant, and whether its groups are there,
//! is [`crate::world::launch_templates`]'s to say. Source: EC2 user guide, "Launch an instance from a launch template".

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::change::NewInstances;
use crate::name::{
    GroupId, ImageId, InstanceId, LaunchTemplateId, LaunchTemplateName, LaunchTemplateVersionId, ReservationId,
    ZoneName,
};
use crate::noun::ShutdownBehavior;
use crate::time::Timestamp;

/// The type of a launch that states none: AWS's default, which book-era tools also send unasked.
pub const USUAL_TYPE: &str = "m1.small";

/// The kind of thing, as EC2 names it, whose tags a launch states for its instances.
pub const INSTANCE: &str = "instance";

/// What a launch states; what it does not is taken from elsewhere.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LaunchData {
    /// From which image.
    pub image: Option<ImageId>,
    /// Of which type, such as `m1.small`.
    pub instance_type: Option<String>,
    /// Recorded.
    pub key_name: Option<String>,
    /// Security groups by name.
    pub group_names: Vec<String>,
    /// Security groups by id.
    pub group_ids: Vec<GroupId>,
    /// Base64; at most 16 KiB raw, checked by whoever states it.
    pub user_data: Option<String>,
    /// In which zone.
    pub zone: Option<ZoneName>,
    /// What becomes of them when they end by themselves.
    pub shutdown: Option<ShutdownBehavior>,
    /// Whether terminating them through the API is refused.
    pub termination_protected: Option<bool>,
    /// Whether stopping them through the API is refused.
    pub stop_protected: Option<bool>,
    /// Tags for what the launch makes, by the kind of thing; those of [`INSTANCE`]s act.
    pub tags: BTreeMap<String, BTreeMap<String, String>>,
    /// What has no effect here and is shown as it was stated: JSON, made and read by the house.
    pub recorded: BTreeMap<String, Arc<str>>,
}

impl LaunchData {
    /// Whether it states nothing at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// This launch, and where it leaves something unsaid the other one. Parameters are stated as wholes: groups in either form
    /// take the place of the other's in both, and tags the place of all of the other's.
    #[must_use]
    pub fn over(self, under: &Self) -> Self {
        let no_groups = self.group_names.is_empty() && self.group_ids.is_empty();
        let groups =
            if no_groups { (&under.group_names, &under.group_ids) } else { (&self.group_names, &self.group_ids) };
        let (group_names, group_ids) = (groups.0.clone(), groups.1.clone());
        let mut recorded = under.recorded.clone();
        recorded.extend(self.recorded);
        Self {
            image: self.image.or_else(|| under.image.clone()),
            instance_type: self.instance_type.or_else(|| under.instance_type.clone()),
            key_name: self.key_name.or_else(|| under.key_name.clone()),
            group_names,
            group_ids,
            user_data: self.user_data.or_else(|| under.user_data.clone()),
            zone: self.zone.or_else(|| under.zone.clone()),
            shutdown: self.shutdown.or(under.shutdown),
            termination_protected: self.termination_protected.or(under.termination_protected),
            stop_protected: self.stop_protected.or(under.stop_protected),
            tags: if self.tags.is_empty() { under.tags.clone() } else { self.tags },
            recorded,
        }
    }
}

/// A launch template; its versions are records of their own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LaunchTemplate {
    /// Its id.
    pub id: LaunchTemplateId,
    /// Its name: no two have one.
    pub name: LaunchTemplateName,
    /// When it was made.
    pub created: Timestamp,
    /// Who made it, by ARN.
    pub created_by: String,
    /// The version that is meant where none is named.
    pub default: u32,
    /// How many versions there ever were: a number is never used again.
    pub numbered: u32,
    /// A call that makes it repeated with the same token is answered with it.
    pub client_token: Option<String>,
    /// Tags by key.
    pub tags: BTreeMap<String, String>,
}

/// One version of a launch template. It never changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LaunchTemplateVersion {
    /// Which, of which template.
    pub id: LaunchTemplateVersionId,
    /// For people.
    pub description: Option<String>,
    /// When it was made.
    pub created: Timestamp,
    /// Who made it, by ARN.
    pub created_by: String,
    /// A call that makes it repeated with the same token is answered with it.
    pub client_token: Option<String>,
    /// With a token: a digest of everything that was asked for.
    pub asked_for: Option<String>,
    /// What it states.
    pub data: LaunchData,
}

impl LaunchTemplateVersionId {
    /// A template's version of that number.
    #[must_use]
    pub fn of(template: &LaunchTemplateId, number: u32) -> Option<Self> {
        Self::new(format!("{template}/{number:010}")).ok()
    }

    /// Its template.
    #[must_use]
    pub fn template(&self) -> Option<LaunchTemplateId> {
        LaunchTemplateId::new(self.as_str().split_once('/')?.0).ok()
    }

    /// Its number, from 1.
    #[must_use]
    pub fn number(&self) -> u32 {
        self.as_str().split_once('/').and_then(|(_, number)| number.parse().ok()).unwrap_or(0)
    }
}

/// A launch template as a call names it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum TemplateRef {
    /// By its id.
    Id(LaunchTemplateId),
    /// By its name.
    Name(LaunchTemplateName),
}

impl fmt::Display for TemplateRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(id) => write!(f, "ID {id}"),
            Self::Name(name) => write!(f, "name {name}"),
        }
    }
}

/// A version as a call names it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum VersionRef {
    /// The template's default version, whichever that is then.
    #[default]
    Default,
    /// The newest one, whichever that is then.
    Latest,
    /// That one.
    Number(u32),
}

impl VersionRef {
    /// `$Default`, `$Latest`, or a number from 1.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        match text {
            "$Default" => Some(Self::Default),
            "$Latest" => Some(Self::Latest),
            text if text.bytes().all(|b| b.is_ascii_digit()) => text.parse().ok().filter(|n| *n > 0).map(Self::Number),
            _ => None,
        }
    }
}

impl fmt::Display for VersionRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("$Default"),
            Self::Latest => f.write_str("$Latest"),
            Self::Number(number) => number.fmt(f),
        }
    }
}

/// A launch template and a version as a launch names them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TemplateSpecification {
    /// Which template.
    pub template: TemplateRef,
    /// Which version of it.
    pub version: VersionRef,
}

/// All that a launch comes to, but for its ids: what is stated, what a template states, and what is usual.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LaunchParameters {
    /// The version of a template that it is from.
    pub from: Option<LaunchTemplateVersionId>,
    /// From which image.
    pub image: ImageId,
    /// Where; `None` for wherever there is room.
    pub zone: Option<ZoneName>,
    /// Of which type.
    pub instance_type: String,
    /// Recorded.
    pub key_name: Option<String>,
    /// Names of security groups that are there, in order, each once.
    pub groups: Vec<String>,
    /// Base64.
    pub user_data: Option<String>,
    /// What becomes of them when they end by themselves.
    pub shutdown: ShutdownBehavior,
    /// Whether terminating them through the API is refused.
    pub termination_protected: bool,
    /// Whether stopping them through the API is refused.
    pub stop_protected: bool,
    /// Tags for each instance.
    pub tags: BTreeMap<String, String>,
}

impl LaunchParameters {
    /// The launch of so many instances as there are ids, of which `min_count` will do.
    #[must_use]
    pub fn instances(self, reservation: ReservationId, ids: Vec<InstanceId>, min_count: u32) -> NewInstances {
        NewInstances {
            reservation,
            ids,
            min_count,
            image: self.image,
            zone: self.zone,
            instance_type: self.instance_type,
            key_name: self.key_name,
            groups: self.groups,
            user_data: self.user_data,
            client_token: None,
            shutdown: self.shutdown,
            termination_protected: self.termination_protected,
            stop_protected: self.stop_protected,
            asked_for: None,
            tags: self.tags,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_stated_stands_over_what_is_not() {
        let groups = |name: &str| LaunchData { group_names: vec![name.into()], ..LaunchData::default() };
        let id = GroupId::new("sg-00000001").unwrap();
        let by_id = LaunchData { group_ids: vec![id.clone()], ..LaunchData::default() };
        let merged = by_id.clone().over(&groups("web"));
        assert_eq!((merged.group_names, merged.group_ids), (vec![], vec![id]));
        assert_eq!(LaunchData::default().over(&groups("web")), groups("web"));
        let recorded = |pairs: &[(&str, &str)]| LaunchData {
            recorded: pairs.iter().map(|(key, json)| ((*key).to_owned(), Arc::from(*json))).collect(),
            ..LaunchData::default()
        };
        let merged = recorded(&[("a", "1"), ("b", "2")]).over(&recorded(&[("b", "3"), ("c", "4")]));
        assert_eq!(merged, recorded(&[("a", "1"), ("b", "2"), ("c", "4")]));
        let under =
            LaunchData { termination_protected: Some(true), key_name: Some("k".into()), ..LaunchData::default() };
        let merged = LaunchData { termination_protected: Some(false), ..LaunchData::default() }.over(&under);
        assert_eq!((merged.termination_protected, merged.key_name.as_deref()), (Some(false), Some("k")));
    }

    #[test]
    fn versions_are_named_and_sort_as_numbers() {
        let check = |text: &str, expected| assert_eq!(VersionRef::read(text), expected, "{text}");
        check("$Default", Some(VersionRef::Default));
        check("$Latest", Some(VersionRef::Latest));
        check("12", Some(VersionRef::Number(12)));
        check("0", None);
        check("-1", None);
        check("", None);
        check("$latest", None);
        check("99999999999", None);
        let template = LaunchTemplateId::new("lt-0123456789abcdef0").unwrap();
        let version = |number| LaunchTemplateVersionId::of(&template, number).unwrap();
        assert!(version(9) < version(10) && version(10) < version(u32::MAX));
        assert_eq!((version(10).number(), version(10).template()), (10, Some(template)));
    }
}
