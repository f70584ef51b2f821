//! Launch templates: making, describing and taking away (AWS, EC2 API 2016-11-15).
//!
//! Owns how a template and a version are named in calls, and how they are shown. What a version states is read and shown by
//! [`super::launch_data`]; what a launch comes to that names one is the World's to say (`launch_parameters`). Next:
//! [`super::launch`].

use std::collections::BTreeMap;

use aws_lc_rs::digest;
use evenkeel_aws::{Error, ec2};
use evenkeel_core::change::{Change, NewTemplateVersion, Reply, TemplateChange, VersionFate};
use evenkeel_core::name::{LaunchTemplateId, LaunchTemplateName, LaunchTemplateVersionId};
use evenkeel_core::noun::launch_template::{TemplateRef, TemplateSpecification, VersionRef};
use evenkeel_core::noun::{LaunchData, LaunchTemplate, LaunchTemplateVersion};
use evenkeel_core::refusal::Refusal;
use evenkeel_core::world::World;
use serde::Serialize;

use super::dice::hex;
use super::filter::Filters;
use super::page::Page;
use super::{Asked, dice, launch_data, refusal, tags, words};

/// Characters of a client token (AWS).
const MOST_TOKEN: usize = 128;
/// Characters of a version's description (AWS).
const MOST_DESCRIPTION: usize = 255;
/// Templates or versions on a page, and versions that one call deletes (AWS).
const MOST_ON_A_PAGE: i64 = 200;

pub(super) const FILTERS: &[&str] = &["create-time", "launch-template-name"];

pub(super) const VERSION_FILTERS: &[&str] = &[
    "create-time",
    "ebs-optimized",
    "http-endpoint",
    "http-tokens",
    "image-id",
    "instance-type",
    "is-default-version",
    "kernel-id",
    "ram-disk-id",
];

pub(super) async fn create(
    asked: &Asked<'_>,
    input: ec2::CreateLaunchTemplate,
) -> Result<ec2::CreateLaunchTemplateOutput, Error> {
    let name = input.launch_template_name.filter(|name| !name.is_empty());
    let name = read_name(&name.ok_or_else(|| words::missing("LaunchTemplateName"))?)?;
    let description = description(input.version_description)?;
    let client_token = token(input.client_token)?;
    let tags = tags::specified(input.tag_specifications, "launch-template")?;
    let data = stated(asked, input.launch_template_data)?;
    let asked_for = client_token.as_ref().map(|_| fingerprint(&(&description, &data, &tags))).transpose()?;
    let created_by = asked.caller.arn(asked.world.settings());
    let roll = || {
        let id = LaunchTemplateId::new(dice::id("lt-")?).map_err(internal)?;
        let version = LaunchTemplateVersion {
            id: LaunchTemplateVersionId::of(&id, 1).ok_or_else(|| internal("no version of it"))?,
            description: description.clone(),
            created: asked.now,
            created_by: created_by.clone(),
            client_token: None,
            asked_for: asked_for.clone(),
            data: data.clone(),
        };
        let template = LaunchTemplate {
            id,
            name: name.clone(),
            created: asked.now,
            created_by: created_by.clone(),
            default: 1,
            numbered: 1,
            client_token: client_token.clone(),
            tags: tags.clone(),
        };
        Ok(Change::LaunchTemplate(TemplateChange::Create { template, version: Box::new(version) }))
    };
    let version = made(asked.ec2_rolled(input.dry_run, roll).await?)?;
    let world = asked.api.keeper.world();
    let held = version.template().and_then(|id| world.launch_template(&id));
    let launch_template = shown(held.ok_or_else(gone)?, &world);
    Ok(ec2::CreateLaunchTemplateOutput { launch_template, warning: warning(&world, &data) })
}

pub(super) async fn create_version(
    asked: &Asked<'_>,
    input: ec2::CreateLaunchTemplateVersion,
) -> Result<ec2::CreateLaunchTemplateVersionOutput, Error> {
    let template = named(input.launch_template_id.as_deref(), input.launch_template_name.as_deref())?;
    let held = asked.world.template_named(&template).map_err(refuse)?;
    let source = input.source_version.filter(|text| !text.is_empty());
    let source = source.map(|text| read_version(held, &text)).transpose()?;
    let description = description(input.version_description)?;
    let client_token = token(input.client_token)?;
    let data = stated(asked, input.launch_template_data)?;
    let asked_for = client_token.as_ref().map(|_| fingerprint(&(&description, &data, source))).transpose()?;
    let created_by = asked.caller.arn(asked.world.settings());
    let new = NewTemplateVersion { template, source, description, created_by, client_token, asked_for, data };
    let change = Change::LaunchTemplate(TemplateChange::CreateVersion(Box::new(new)));
    let version = made(asked.ec2(change, input.dry_run).await?)?;
    let world = asked.api.keeper.world();
    let held = version.template().and_then(|id| world.launch_template(&id)).ok_or_else(gone)?;
    let version = world.launch_template_version(&version).ok_or_else(gone)?;
    let warning = warning(&world, &version.data);
    Ok(ec2::CreateLaunchTemplateVersionOutput { launch_template_version: shown_version(version, held)?, warning })
}

pub(super) fn describe(
    asked: &Asked<'_>,
    input: &ec2::DescribeLaunchTemplates,
) -> Result<ec2::DescribeLaunchTemplatesOutput, Error> {
    let filters = Filters::read(&input.filters, FILTERS)?;
    let page = page("launch-templates", input.max_results, input.next_token.as_deref())?;
    let ids = input.launch_template_ids.iter().map(|id| read_id(id)).collect::<Result<Vec<_>, _>>()?;
    let names = input.launch_template_names.iter().map(|name| read_name(name)).collect::<Result<Vec<_>, _>>()?;
    for id in &ids {
        asked.world.template_named(&TemplateRef::Id(id.clone())).map_err(refuse)?;
    }
    for name in &names {
        if asked.world.template_named(&TemplateRef::Name(name.clone())).is_err() {
            let text = "At least one of the launch templates specified in the request does not exist.";
            return Err(Error::sender("InvalidLaunchTemplateName.NotFoundException", text));
        }
    }
    words::unless_dry_run(input.dry_run)?;
    let wanted = asked.world.launch_templates().filter(|template| {
        let chosen =
            (ids.is_empty() && names.is_empty()) || ids.contains(&template.id) || names.contains(&template.name);
        let values = |name| match name {
            "create-time" => vec![words::wire_time(template.created).to_string()],
            _ => vec![template.name.to_string()],
        };
        chosen && filters.hold(values, &template.tags)
    });
    let (found, next_token) = page.cut(wanted, |template| template.id.to_string());
    let launch_templates = found.into_iter().map(|template| shown(template, &asked.world)).collect();
    Ok(ec2::DescribeLaunchTemplatesOutput { launch_templates, next_token })
}

pub(super) fn describe_versions(
    asked: &Asked<'_>,
    input: &ec2::DescribeLaunchTemplateVersions,
) -> Result<ec2::DescribeLaunchTemplateVersionsOutput, Error> {
    let filters = Filters::read(&input.filters, VERSION_FILTERS)?;
    let page = page("launch-template-versions", input.max_results, input.next_token.as_deref())?;
    let found = found_versions(asked, input)?;
    words::unless_dry_run(input.dry_run)?;
    let mut shown = Vec::new();
    for (template, version) in found {
        let one = shown_version(version, template)?;
        if filters.hold(|name| values(&one, name), &BTreeMap::new()) {
            shown.push(one);
        }
    }
    // The newest first, as AWS has it.
    let place = |v: &ec2::LaunchTemplateVersion| {
        format!("{} {:010}", v.launch_template_id, i64::from(u32::MAX) - v.version_number)
    };
    shown.sort_by_key(place);
    shown.dedup_by_key(|version| place(version));
    let (shown, next_token) = page.cut(shown, place);
    Ok(ec2::DescribeLaunchTemplateVersionsOutput { launch_template_version_set: shown.into(), next_token })
}

pub(super) async fn modify(
    asked: &Asked<'_>,
    input: &ec2::ModifyLaunchTemplate,
) -> Result<ec2::ModifyLaunchTemplateOutput, Error> {
    let template = named(input.launch_template_id.as_deref(), input.launch_template_name.as_deref())?;
    let held = asked.world.template_named(&template).map_err(refuse)?;
    let version = input.default_version.as_deref().filter(|text| !text.is_empty());
    let version = read_version(held, version.ok_or_else(|| words::missing("SetDefaultVersion"))?)?;
    token(input.client_token.clone())?;
    let change = Change::LaunchTemplate(TemplateChange::SetDefault { template: template.clone(), version });
    asked.ec2(change, input.dry_run).await?;
    let world = asked.api.keeper.world();
    let launch_template = shown(world.template_named(&template).map_err(refuse)?, &world);
    Ok(ec2::ModifyLaunchTemplateOutput { launch_template })
}

pub(super) async fn delete(
    asked: &Asked<'_>,
    input: &ec2::DeleteLaunchTemplate,
) -> Result<ec2::DeleteLaunchTemplateOutput, Error> {
    let template = named(input.launch_template_id.as_deref(), input.launch_template_name.as_deref())?;
    let held = asked.world.template_named(&template).map_err(refuse)?;
    let change = Change::LaunchTemplate(TemplateChange::Delete { template: held.id.clone() });
    asked.ec2(change, input.dry_run).await?;
    Ok(ec2::DeleteLaunchTemplateOutput { launch_template: shown(held, &asked.world) })
}

pub(super) async fn delete_versions(
    asked: &Asked<'_>,
    input: &ec2::DeleteLaunchTemplateVersions,
) -> Result<ec2::DeleteLaunchTemplateVersionsOutput, Error> {
    let template = named(input.launch_template_id.as_deref(), input.launch_template_name.as_deref())?;
    let held = asked.world.template_named(&template).map_err(refuse)?;
    if input.versions.is_empty() {
        return Err(words::missing("LaunchTemplateVersion"));
    }
    if input.versions.len() > usize::try_from(MOST_ON_A_PAGE).unwrap_or(usize::MAX) {
        return Err(Error::invalid_parameter(format!("At most {MOST_ON_A_PAGE} versions may be specified")));
    }
    let number = |text: &String| match VersionRef::read(text) {
        Some(VersionRef::Number(number)) => Ok(number),
        _ => Err(words::bad_value("LaunchTemplateVersion", text, "Specify versions by their numbers.")),
    };
    let versions = input.versions.iter().map(number).collect::<Result<Vec<u32>, _>>()?;
    let change = Change::LaunchTemplate(TemplateChange::DeleteVersions { template: held.id.clone(), versions });
    let Reply::VersionsDeleted(fates) = asked.ec2(change, input.dry_run).await? else { return Err(gone()) };
    let mut output = ec2::DeleteLaunchTemplateVersionsOutput::default();
    for (number, fate) in fates {
        let (launch_template_id, launch_template_name) = (held.id.to_string(), held.name.to_string());
        let (code, message) = match fate {
            VersionFate::Deleted => {
                let version_number = number.into();
                let gone = ec2::DeletedVersion { launch_template_id, launch_template_name, version_number };
                output.successfully_deleted_launch_template_version_set.push(gone);
                continue;
            }
            VersionFate::Missing => (
                "launchTemplateVersionDoesNotExist",
                Refusal::NoSuchTemplateVersion { template: held.id.clone(), version: VersionRef::Number(number) }
                    .to_string(),
            ),
            VersionFate::Default => {
                ("unexpectedError", "Cannot delete the default version of a launch template.".to_owned())
            }
        };
        output.unsuccessfully_deleted_launch_template_version_set.push(ec2::UndeletedVersion {
            launch_template_id,
            launch_template_name,
            version_number: number.into(),
            response_error: ec2::ResponseError { code: code.to_owned(), message },
        });
    }
    Ok(output)
}

pub(super) fn data_of_instance(
    asked: &Asked<'_>,
    input: &ec2::GetLaunchTemplateData,
) -> Result<ec2::GetLaunchTemplateDataOutput, Error> {
    let id = words::instance(&input.instance_id)?;
    let Some(instance) = asked.world.instance(&id) else { return Err(words::no_instances(vec![id])) };
    words::unless_dry_run(input.dry_run)?;
    let launch_template_data = launch_data::shown(&launch_data::of_instance(instance, &asked.world))?;
    Ok(ec2::GetLaunchTemplateDataOutput { launch_template_data })
}

/// The template and version that a launch names; without a version the default one.
pub(super) fn specification(stated: &ec2::LaunchTemplateSpecification) -> Result<TemplateSpecification, Error> {
    let template = named(stated.launch_template_id.as_deref(), stated.launch_template_name.as_deref())?;
    let version = match stated.version.as_deref().filter(|text| !text.is_empty()) {
        None => VersionRef::Default,
        Some(text) => VersionRef::read(text).ok_or_else(|| bad_version(text))?,
    };
    Ok(TemplateSpecification { template, version })
}

/// The versions that a call describes, each with its template.
fn found_versions<'w>(
    asked: &'w Asked<'_>,
    input: &ec2::DescribeLaunchTemplateVersions,
) -> Result<Vec<(&'w LaunchTemplate, &'w LaunchTemplateVersion)>, Error> {
    let world = &asked.world;
    let (id, name) = (input.launch_template_id.as_deref(), input.launch_template_name.as_deref());
    let stated = |text: Option<&str>| text.is_some_and(|text| !text.is_empty());
    let versions: Vec<&String> = input.versions.iter().filter(|text| !text.is_empty()).collect();
    if !stated(id) && !stated(name) {
        if versions.is_empty() {
            return Err(Error::sender("MissingParameter", OF_ALL));
        }
        let mut found = Vec::new();
        for text in versions {
            let Some(version @ (VersionRef::Default | VersionRef::Latest)) = VersionRef::read(text) else {
                return Err(Error::invalid_parameter(OF_ALL));
            };
            let of = |template| Some((template, world.template_version(template, version).ok()?.as_ref()));
            found.extend(world.launch_templates().map(AsRef::as_ref).filter_map(of));
        }
        return Ok(found);
    }
    let template = world.template_named(&named(id, name)?).map_err(refuse)?.as_ref();
    if !versions.is_empty() {
        let one = |text: &&String| {
            let version = read_version(template, text)?;
            Ok((template, world.template_version(template, version).map_err(refuse)?.as_ref()))
        };
        return versions.iter().map(one).collect();
    }
    let bound = |stated: &Option<String>, or: u32| match stated.as_deref().filter(|text| !text.is_empty()) {
        None => Ok(or),
        Some(text) => match VersionRef::read(text) {
            Some(VersionRef::Number(number)) => Ok(number),
            _ => Err(bad_version(text)),
        },
    };
    let range = bound(&input.min_version, 0)?..=bound(&input.max_version, u32::MAX)?;
    let all = world.versions_of(&template.id).filter(|version| range.contains(&version.id.number()));
    Ok(all.map(|version| (template, version.as_ref())).collect())
}

const OF_ALL: &str = "To describe the launch template data for all your launch templates, for ‘--versions’ specify ‘$Latest’, ‘$Default’, or both, and omit ‘--launch-template-id’, ‘--launch-template-name’, and version numbers. To describe the launch template data for a specific launch template, specify ‘--launch-template-id’ or ‘--launch-template-name’, and for ‘--versions’ specify one or more of the following values: ‘$Latest’, ‘$Default’, or one or more version numbers.";

/// The template that a call names by its id or by its name, and not by both.
fn named(id: Option<&str>, name: Option<&str>) -> Result<TemplateRef, Error> {
    match (id.filter(|text| !text.is_empty()), name.filter(|text| !text.is_empty())) {
        (Some(_), Some(_)) => {
            let text = "Either provide launch template ID or launch template name, but not both.";
            Err(Error::sender("InvalidParameterCombination", text))
        }
        (Some(id), None) => read_id(id).map(TemplateRef::Id),
        (None, Some(name)) => read_name(name).map(TemplateRef::Name),
        (None, None) => {
            let text = "Either a launch template ID or a launch template name must be specified in the request.";
            Err(Error::sender("MissingParameter", text))
        }
    }
}

fn read_id(text: &str) -> Result<LaunchTemplateId, Error> {
    LaunchTemplateId::new(text).map_err(|_| {
        let text = format!("Invalid id: \"{}\" (expecting \"lt-...\")", words::quoted(text));
        Error::sender("InvalidLaunchTemplateId.Malformed", text)
    })
}

fn read_name(text: &str) -> Result<LaunchTemplateName, Error> {
    LaunchTemplateName::new(text).map_err(|bad| {
        let text = format!("A launch template name {}.", bad.rule);
        Error::sender("InvalidLaunchTemplateName.MalformedException", text)
    })
}

/// A version as a call names it. A text that names none is one that is not there.
fn read_version(template: &LaunchTemplate, text: &str) -> Result<VersionRef, Error> {
    VersionRef::read(text).ok_or_else(|| {
        let (text, id) = (words::quoted(text), &template.id);
        let text = format!("Could not find the specified version {text} for the launch template with ID {id}.");
        Error::sender("InvalidLaunchTemplateId.VersionNotFound", text)
    })
}

fn bad_version(text: &str) -> Error {
    words::bad_value("Version", text, "Specify a version's number, $Latest or $Default.")
}

fn page(kind: &'static str, max: Option<i64>, token: Option<&str>) -> Result<Page, Error> {
    if max.is_some_and(|max| max > MOST_ON_A_PAGE) {
        let text = format!("The value for parameter maxResults must be from 1 to {MOST_ON_A_PAGE}.");
        return Err(Error::invalid_parameter(text));
    }
    // AWS shows no more than that at once, whatever is asked.
    Page::ec2(kind, Some(max.unwrap_or(MOST_ON_A_PAGE)), 1, token)
}

fn stated(asked: &Asked<'_>, data: Option<ec2::LaunchTemplateData>) -> Result<LaunchData, Error> {
    let data = launch_data::read(asked, data.unwrap_or_default())?;
    if data.is_empty() { Err(words::missing("LaunchTemplateData")) } else { Ok(data) }
}

fn description(stated: Option<String>) -> Result<Option<String>, Error> {
    match stated.filter(|text| !text.is_empty()) {
        Some(text) if text.chars().count() > MOST_DESCRIPTION => {
            Err(words::bad_value("VersionDescription", &text, "It must be at most 255 characters"))
        }
        text => Ok(text),
    }
}

fn token(stated: Option<String>) -> Result<Option<String>, Error> {
    match stated.filter(|token| !token.is_empty()) {
        Some(token) if token.len() > MOST_TOKEN || !token.is_ascii() => {
            Err(words::bad_value("ClientToken", &token, "It must be at most 128 ASCII characters"))
        }
        token => Ok(token),
    }
}

/// A digest of all that a call asks for, by which two with one token are told apart.
fn fingerprint(what: &impl Serialize) -> Result<String, Error> {
    let bytes = serde_json::to_vec(what).map_err(internal)?;
    Ok(hex(digest::digest(&digest::SHA256, &bytes).as_ref()))
}

/// What of a template no launch would accept today; it is kept all the same (AWS).
fn warning(world: &World, data: &LaunchData) -> Option<ec2::ValidationWarning> {
    let image = data.image.as_ref().filter(|image| world.image(image).is_none());
    let image = image.map(|image| refuse(Refusal::NoSuchImage(image.clone())));
    let rest = match world.launch_parameters(data.clone(), None) {
        Ok(_) | Err(Refusal::Missing(_)) => None,
        Err(refusal) => Some(refuse(refusal)),
    };
    let shown = |error: Error| ec2::ValidationError { code: error.code.to_string(), message: error.message };
    let errors: Vec<_> = image.into_iter().chain(rest).map(shown).collect();
    (!errors.is_empty()).then(|| ec2::ValidationWarning { error_set: errors.into() })
}

fn shown(template: &LaunchTemplate, world: &World) -> ec2::LaunchTemplate {
    ec2::LaunchTemplate {
        launch_template_id: template.id.to_string(),
        launch_template_name: template.name.to_string(),
        create_time: words::wire_time(template.created),
        created_by: template.created_by.clone(),
        default_version_number: template.default.into(),
        latest_version_number: world.latest_version(&template.id).into(),
        tag_set: tags::shown(&template.tags),
    }
}

fn shown_version(
    version: &LaunchTemplateVersion,
    template: &LaunchTemplate,
) -> Result<ec2::LaunchTemplateVersion, Error> {
    Ok(ec2::LaunchTemplateVersion {
        launch_template_id: template.id.to_string(),
        launch_template_name: template.name.to_string(),
        version_number: version.id.number().into(),
        version_description: version.description.clone(),
        create_time: words::wire_time(version.created),
        created_by: version.created_by.clone(),
        default_version: version.id.number() == template.default,
        launch_template_data: launch_data::shown(&version.data)?,
    })
}

/// A version's values under a filter's name.
fn values(version: &ec2::LaunchTemplateVersion, name: &str) -> Vec<String> {
    let data = &version.launch_template_data;
    let metadata = data.metadata_options.as_ref();
    let value = match name {
        "create-time" => Some(version.create_time.to_string()),
        "ebs-optimized" => data.ebs_optimized.map(|is| is.to_string()),
        "http-endpoint" => metadata.and_then(|options| options.http_endpoint.clone()),
        "http-tokens" => metadata.and_then(|options| options.http_tokens.clone()),
        "image-id" => data.image_id.clone(),
        "instance-type" => data.instance_type.clone(),
        "is-default-version" => Some(version.default_version.to_string()),
        "kernel-id" => data.kernel_id.clone(),
        _ => data.ram_disk_id.clone(),
    };
    value.into_iter().collect()
}

fn made(reply: Reply) -> Result<LaunchTemplateVersionId, Error> {
    match reply {
        Reply::TemplateVersion(id) => Ok(id),
        _ => Err(gone()),
    }
}

fn refuse(refusal: Refusal) -> Error {
    refusal::ec2(refusal.into())
}

fn gone() -> Error {
    internal("The launch template is gone already")
}

fn internal(what: impl ToString) -> Error {
    Error::receiver("InternalError", what.to_string())
}
