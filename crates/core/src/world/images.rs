//! What may happen to images.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Decision, Key, Row, World, Write, tags};
use crate::change::{Captured, NewCapture, NewImage, Reply};
use crate::name::ImageId;
use crate::noun::image::ImageState;
use crate::noun::{Image, InstanceState, image};
use crate::refusal::Refusal;
use crate::time::Timestamp;

impl World {
    pub(super) fn register_image(&self, new: &NewImage, now: Timestamp) -> Result<Decision, Refusal> {
        new.manifest.validate()?;
        self.new_image(&new.id, &new.name, &new.tags)?;
        Ok(put(Image {
            id: new.id.clone(),
            name: new.name.clone(),
            description: new.description.clone(),
            manifest: new.manifest.clone(),
            location: new.location.clone(),
            digest: new.digest.clone(),
            size: new.size,
            state: ImageState::Available,
            source: None,
            created: now,
            tags: new.tags.clone(),
        }))
    }

    pub(super) fn create_image(&self, new: &NewCapture, now: Timestamp) -> Result<Decision, Refusal> {
        self.new_image(&new.id, &new.name, &new.tags)?;
        let held = self.instance(&new.instance);
        let held = held.ok_or_else(|| Refusal::NoSuchInstances(vec![new.instance.clone()]))?;
        // One that is pending may have no files yet; one that ends is about to have none.
        if !matches!(held.state, InstanceState::Running | InstanceState::Stopping | InstanceState::Stopped) {
            return Err(Refusal::WrongState { instance: held.id.clone(), state: held.state, wanted: "imaged" });
        }
        let image = Image {
            id: new.id.clone(),
            name: new.name.clone(),
            description: new.description.clone(),
            manifest: held.manifest.clone(),
            location: format!("{}/{}", self.settings.account, new.name),
            digest: String::new(),
            size: None,
            state: ImageState::Pending,
            source: Some(held.id.clone()),
            created: now,
            tags: new.tags.clone(),
        };
        Ok(Decision { reply: Reply::Image(new.id.clone()), ..put(image) })
    }

    pub(super) fn settle_image(&self, id: &ImageId, outcome: &Result<Captured, String>) -> Result<Decision, Refusal> {
        let held = self.image(id).ok_or_else(|| Refusal::NoSuchImage(id.clone()))?;
        if held.state != ImageState::Pending {
            return Ok(Decision { reply: Reply::Unchanged, writes: Vec::new() });
        }
        let mut image = Arc::unwrap_or_clone(Arc::clone(held));
        match outcome {
            Ok(captured) => {
                image.state = ImageState::Available;
                image.digest.clone_from(&captured.digest);
                image.size = Some(captured.size);
            }
            Err(reason) => image.state = ImageState::Failed { reason: reason.clone() },
        }
        Ok(put(image))
    }

    pub(super) fn deregister_image(&self, id: &ImageId) -> Result<Decision, Refusal> {
        match self.image(id) {
            Some(_) => Ok(Decision { reply: Reply::Done, writes: vec![Write::Remove(Key::Image(id.clone()))] }),
            None => Err(Refusal::NoSuchImage(id.clone())),
        }
    }

    fn new_image(&self, id: &ImageId, name: &str, tags: &BTreeMap<String, String>) -> Result<(), Refusal> {
        image::valid_name(name)?;
        tags::check(tags, tags::PER_RESOURCE)?;
        if self.image(id).is_some() {
            return Err(Refusal::IdTaken(id.to_string()));
        }
        match self.images().find(|i| i.name == name) {
            Some(held) => Err(Refusal::ImageNameTaken { name: name.to_owned(), image: held.id.clone() }),
            None => Ok(()),
        }
    }
}

fn put(image: Image) -> Decision {
    Decision { reply: Reply::Done, writes: vec![Write::Put(Row::Image(image))] }
}
