//! Images: registering from a folder or tar on this node, creating from an instance, describing, taking away.
//!
//! Owns their form on the wire. Files are taken in by the `Intake` that the API was given. Next: [`super::launch`].

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;

use evenkeel_aws::{Dialect, Error, ec2};
use evenkeel_core::change::{Captured, Change, NewCapture, NewImage, Reply};
use evenkeel_core::name::{ImageId, Port};
use evenkeel_core::noun::image::ImageState;
use evenkeel_core::noun::{Image, image};
use evenkeel_core::refusal::Refusal;

use super::blocking;
use super::filter::Filters;
use super::page::Page;
use super::words::wire_time;
use super::{Api, Asked, Held, Imported, Intake, ROLLS, Source, dice, refusal, shown, tags, words};
use crate::keeper::{KeeperHandle, Rejected};

/// Characters of a description (AWS).
const MOST_DESCRIPTION: usize = 255;

/// What AWS counts volumes in.
const GIB: u64 = 1 << 30;

/// AWS's code of what went wrong on the service's side.
const FAILED: &str = "Server.InternalError";

pub(super) const FILTERS: &[&str] = &[
    "architecture",
    "block-device-mapping.delete-on-termination",
    "block-device-mapping.device-name",
    "block-device-mapping.snapshot-id",
    "block-device-mapping.volume-size",
    "block-device-mapping.volume-type",
    "creation-date",
    "description",
    "hypervisor",
    "image-id",
    "image-type",
    "is-public",
    "kernel-id",
    "manifest-location",
    "name",
    "owner-alias",
    "owner-id",
    "platform",
    "ramdisk-id",
    "root-device-name",
    "root-device-type",
    "source-instance-id",
    "state",
    "state-reason-code",
    "state-reason-message",
    "virtualization-type",
];

pub(super) async fn register(asked: &Asked<'_>, input: ec2::RegisterImage) -> Result<ec2::RegisterImageOutput, Error> {
    let refuse = |refusal: Refusal| Err(refusal::ec2(refusal.into()));
    let tags = tags::specified(input.tag_specifications, "image")?;
    let description = described_as(input.description)?;
    if let Err(bad) = image::valid_name(&input.name) {
        return refuse(bad.into());
    }
    let location =
        input.image_location.filter(|text| !text.is_empty()).ok_or_else(|| words::missing("ImageLocation"))?;
    let source = source(&location)?;
    // Before gigabytes are copied in vain; the World looks again.
    if let Some(held) = asked.world.images().find(|image| image.name == input.name) {
        return refuse(Refusal::ImageNameTaken { name: input.name, image: held.id.clone() });
    }
    words::unless_dry_run(input.dry_run)?;
    let new = Wanted { name: input.name, description, location, tags };
    let (api, actor) = (asked.api, asked.actor.clone());
    let (keeper, intake, imports) = (api.keeper.clone(), Arc::clone(&api.intake), Arc::clone(&api.imports));
    // On its own task: an import may take longer than the call may, and is then registered all the same.
    let registered = tokio::spawn(async move {
        let busy = |_| Error::receiver("Unavailable", "The service is shutting down.").with_status(503);
        let place = imports.acquire().await.map_err(busy)?;
        let (imported, held) = taken_in(intake, source).await?;
        drop(place);
        let registered = new.registered(&keeper, &actor, imported).await;
        drop(held);
        registered
    });
    let image_id = registered.await.map_err(|_| Error::internal(Dialect::Ec2))??;
    Ok(ec2::RegisterImageOutput { image_id: image_id.into() })
}

/// Answers as soon as there is an image to wait for; its files are taken while it is pending.
pub(super) async fn create(asked: &Asked<'_>, input: ec2::CreateImage) -> Result<ec2::CreateImageOutput, Error> {
    let tags = tags::specified(input.tag_specifications, "image")?;
    let description = described_as(input.description)?;
    let instance = words::instance(&input.instance_id)?;
    let make = || {
        Ok(Change::CreateImage(NewCapture {
            id: image_id()?,
            name: input.name.clone(),
            description: description.clone(),
            instance: instance.clone(),
            tags: tags.clone(),
        }))
    };
    let Reply::Image(id) = asked.ec2_rolled(input.dry_run, make).await? else {
        return Err(Error::internal(Dialect::Ec2));
    };
    let api = asked.api;
    let (keeper, intake, imports) = (api.keeper.clone(), Arc::clone(&api.intake), Arc::clone(&api.imports));
    // What the instance ran, also where its own `image.toml` has come to say something else.
    let manifest = keeper.world().image(&id).map(|image| image.manifest.clone());
    let (actor, image) = (asked.actor.clone(), id.clone());
    tokio::spawn(async move {
        let (Some(manifest), Ok(_place)) = (manifest, imports.acquire().await) else { return };
        let captured = blocking(move || (intake.capture)(&instance, &manifest)).await;
        let (outcome, held) = match captured {
            Ok(Ok((taken, held))) => (Ok(Captured { digest: taken.digest, size: taken.size }), Some(held)),
            Ok(Err(why)) => (Err(format!("failed to take the instance's files: {why}")), None),
            Err(error) => (Err(error.message), None),
        };
        // One that was deregistered meanwhile is none to settle. What cannot be written down now is so at the next start.
        let _ = keeper.submit(&actor, Change::SettleImage { image, outcome }).await;
        drop(held);
    });
    Ok(ec2::CreateImageOutput { image_id: id.into() })
}

fn described_as(description: Option<String>) -> Result<String, Error> {
    let description = description.unwrap_or_default();
    if description.chars().count() > MOST_DESCRIPTION {
        let why = format!("It must be at most {MOST_DESCRIPTION} characters");
        return Err(words::bad_value("description", &description, &why));
    }
    Ok(description)
}

/// An image as a call states it.
struct Wanted {
    name: String,
    description: String,
    location: String,
    tags: BTreeMap<String, String>,
}

impl Wanted {
    async fn registered(self, keeper: &KeeperHandle, actor: &str, imported: Imported) -> Result<ImageId, Error> {
        for _ in 0..ROLLS {
            let id = image_id()?;
            let change = Change::RegisterImage(NewImage {
                id: id.clone(),
                name: self.name.clone(),
                description: self.description.clone(),
                manifest: imported.manifest.clone(),
                location: self.location.clone(),
                digest: imported.digest.clone(),
                size: Some(imported.size),
                tags: self.tags.clone(),
            });
            match keeper.submit(actor, change).await {
                Err(Rejected::Refused(Refusal::IdTaken(_))) => {}
                Err(rejected) => return Err(refusal::ec2(rejected)),
                Ok(_) => return Ok(id),
            }
        }
        Err(Error::receiver("InternalError", format!("no free image id was found in {ROLLS} rolls")))
    }
}

pub(super) async fn deregister(asked: &Asked<'_>, input: &ec2::DeregisterImage) -> Result<ec2::Done, Error> {
    let image = words::image(&input.image_id)?;
    asked.ec2(Change::DeregisterImage { image }, input.dry_run).await?;
    Ok(ec2::Done::default())
}

/// In the order they were registered.
pub(super) fn describe(asked: &Asked<'_>, input: &ec2::DescribeImages) -> Result<ec2::DescribeImagesOutput, Error> {
    let page = Page::ec2("images", input.max_results, 1, input.next_token.as_deref())?;
    let filters = Filters::read(&input.filters, FILTERS)?;
    let ids = wanted(asked, &input.image_ids)?;
    words::unless_dry_run(input.dry_run)?;
    let account = &asked.world.settings().account;
    // All images are ours, and for nobody else.
    let ours = |names: &[String]| names.is_empty() || names.iter().any(|name| name == "self" || name == account);
    let visible = ours(&input.owners) && ours(&input.executable_users);
    let place = |image: &&Image| format!("{:020} {}", image.created.0, image.id);
    let mut found: Vec<&Image> = asked
        .world
        .images()
        .map(AsRef::as_ref)
        .filter(|i| visible && ids.as_ref().is_none_or(|ids| ids.contains(&i.id)))
        .filter(|i| filters.hold(|name| values(i, account, name), &i.tags))
        .collect();
    found.sort_by_cached_key(place);
    let (page, next_token) = page.cut(found, place);
    Ok(ec2::DescribeImagesOutput {
        images_set: page.into_iter().map(|image| described(image, account)).collect(),
        next_token,
    })
}

/// A path, or `file:///path?port=8080&image=web:1` for what an OCI image may not say itself.
fn source(text: &str) -> Result<Source, Error> {
    let refuse = |why: &str| words::bad_value("ImageLocation", text, why);
    let mut source = Source::default();
    if let Some(url) = text.strip_prefix("file://") {
        let (path, query) = url.split_once('?').unwrap_or((url, ""));
        let decoded = |text| {
            let decoded = percent_encoding::percent_decode_str(text).decode_utf8();
            decoded.map(Cow::into_owned).map_err(|_| refuse("It must be UTF-8"))
        };
        source.path = decoded(path)?.into();
        for (key, value) in query.split('&').filter(|pair| !pair.is_empty()).filter_map(|pair| pair.split_once('=')) {
            let value = decoded(value)?;
            match key {
                "port" => {
                    let port = value.parse().ok().and_then(|port| Port::new(port).ok());
                    source.port = Some(port.ok_or_else(|| refuse("Its port must be 1 to 65535"))?);
                }
                "image" => source.image = Some(value),
                _ => return Err(refuse("It may say `port` and `image`, and nothing else, after the path")),
            }
        }
    } else {
        source.path = text.into();
    }
    if !source.path.is_absolute()
        || text.contains('\0')
        || text.len() > 4096
        || source.path.as_os_str().as_bytes().contains(&0)
    {
        return Err(refuse("It must be the absolute path of a folder or tar file on the node that runs Evenkeel"));
    }
    Ok(source)
}

async fn taken_in(intake: Arc<Intake>, source: Source) -> Result<(Imported, Held), Error> {
    let failed = |why| Error::sender("InvalidManifest", format!("Failed to import image: {why}"));
    blocking(move || (intake.import)(&source)).await?.map_err(failed)
}

/// Removes what nobody names any more, for which AWS has no call; the answer is JSON. It goes on if nobody waits for it.
pub(super) async fn collect(api: &Api, dry: bool) -> Result<Vec<u8>, Error> {
    let intake = Arc::clone(&api.intake);
    let collected = tokio::spawn(blocking(move || (intake.collect)(dry))).await;
    let collected = collected.map_err(|_| Error::internal(Dialect::Ec2))??;
    collected.map_err(|why| Error::receiver("InternalError", format!("Failed to {why}")))
}

fn wanted(asked: &Asked<'_>, texts: &[String]) -> Result<Option<BTreeSet<ImageId>>, Error> {
    if texts.is_empty() {
        return Ok(None);
    }
    let ids = texts.iter().map(|text| words::image(text)).collect::<Result<BTreeSet<_>, _>>()?;
    match ids.iter().find(|id| asked.world.image(id).is_none()) {
        Some(unknown) => Err(refusal::ec2(Refusal::NoSuchImage(unknown.clone()).into())),
        None => Ok(Some(ids)),
    }
}

fn described(i: &Image, account: &str) -> ec2::Image {
    ec2::Image {
        image_id: i.id.to_string(),
        image_location: i.location.clone(),
        image_state: state(i).into(),
        image_owner_id: account.to_owned(),
        creation_date: wire_time(i.created).to_string(),
        is_public: false,
        architecture: shown::architecture().into(),
        image_type: "machine".into(),
        name: i.name.clone(),
        description: i.description.clone(),
        root_device_type: "ebs".into(),
        root_device_name: shown::ROOT_DEVICE.into(),
        virtualization_type: "hvm".into(),
        // Without files there is no volume.
        block_device_mapping: Some(device(i)).filter(|_| !i.digest.is_empty()).into_iter().collect::<Vec<_>>().into(),
        tag_set: tags::shown(&i.tags),
        hypervisor: "xen".into(),
        state_reason: match &i.state {
            ImageState::Failed { reason } => Some(ec2::StateReason { code: FAILED.into(), message: reason.clone() }),
            _ => None,
        },
        source_instance_id: i.source.as_ref().map(ToString::to_string),
        ..ec2::Image::default()
    }
}

fn state(i: &Image) -> &'static str {
    match i.state {
        ImageState::Pending => "pending",
        ImageState::Available => "available",
        ImageState::Failed { .. } => "failed",
    }
}

/// Its files, as AWS has room for them: a volume of whole GiB, from a snapshot that is named after the digest's beginning.
fn device(i: &Image) -> ec2::BlockDevice {
    ec2::BlockDevice {
        device_name: shown::ROOT_DEVICE.into(),
        virtual_name: None,
        ebs: Some(ec2::EbsBlockDeviceShown {
            snapshot_id: Some(snapshot(i)),
            volume_size: i.size.map(|size| size.bytes.div_ceil(GIB).max(1).cast_signed()),
            delete_on_termination: true,
            volume_type: "standard".into(),
        }),
    }
}

fn snapshot(i: &Image) -> String {
    format!("snap-{}", i.digest.get(..17).unwrap_or(&i.digest))
}

fn values(i: &Image, account: &str, name: &'static str) -> Vec<String> {
    if i.digest.is_empty() && name.starts_with("block-device-mapping") {
        return Vec::new();
    }
    vec![match name {
        "architecture" => shown::architecture().into(),
        "block-device-mapping.delete-on-termination" => "true".into(),
        "block-device-mapping.device-name" => shown::ROOT_DEVICE.into(),
        "block-device-mapping.snapshot-id" => snapshot(i),
        "block-device-mapping.volume-size" => match device(i).ebs.and_then(|ebs| ebs.volume_size) {
            Some(size) => size.to_string(),
            None => return Vec::new(),
        },
        "block-device-mapping.volume-type" => "standard".into(),
        "creation-date" => wire_time(i.created).to_string(),
        "description" => i.description.clone(),
        "hypervisor" => "xen".into(),
        "image-id" => i.id.to_string(),
        "image-type" => "machine".into(),
        "is-public" => "false".into(),
        "manifest-location" => i.location.clone(),
        "name" => i.name.clone(),
        "owner-alias" => "self".into(),
        "owner-id" => account.to_owned(),
        "root-device-name" => shown::ROOT_DEVICE.into(),
        "root-device-type" => "ebs".into(),
        "source-instance-id" => match &i.source {
            Some(source) => source.to_string(),
            None => return Vec::new(),
        },
        "state" => state(i).into(),
        "state-reason-code" => match &i.state {
            ImageState::Failed { .. } => FAILED.into(),
            _ => return Vec::new(),
        },
        "state-reason-message" => match &i.state {
            ImageState::Failed { reason } => reason.clone(),
            _ => return Vec::new(),
        },
        "virtualization-type" => "hvm".into(),
        _ => return Vec::new(),
    }]
}

fn image_id() -> Result<ImageId, Error> {
    ImageId::new(dice::id("ami-")?).map_err(|bad| Error::receiver("InternalError", bad.to_string()))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn a_location_is_a_path_or_says_more() {
        let check = |text: &str, want: Option<(&str, Option<u16>, Option<&str>)>| {
            let found = source(text).ok();
            let found = found.as_ref().map(|s| (s.path.as_path(), s.port.map(Port::number), s.image.as_deref()));
            assert_eq!(found, want.map(|(path, port, image)| (Path::new(path), port, image)), "{text}");
        };
        check("/srv/app.tar", Some(("/srv/app.tar", None, None)));
        check("/srv/app?port=1", Some(("/srv/app?port=1", None, None)));
        check("file:///srv/my%20app.tar", Some(("/srv/my app.tar", None, None)));
        check("file:///a.tar?port=80&image=web%3A1", Some(("/a.tar", Some(80), Some("web:1"))));
        check("file:///a.tar?port=0", None);
        check("file:///a.tar?colour=blue", None);
        check("file://a.tar", None);
        check("file:///a%00", None);
        check("file:///a%ff", None);
        check("app.tar", None);
    }
}
