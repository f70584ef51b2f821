//! What may happen to images.

use super::{Decision, Key, Row, World, Write, tags};
use crate::change::{NewImage, Reply};
use crate::name::ImageId;
use crate::noun::{Image, image};
use crate::refusal::Refusal;
use crate::time::Timestamp;

impl World {
    pub(super) fn register_image(&self, new: &NewImage, now: Timestamp) -> Result<Decision, Refusal> {
        new.manifest.validate()?;
        image::valid_name(&new.name)?;
        tags::check(&new.tags, tags::PER_RESOURCE)?;
        if self.image(&new.id).is_some() {
            return Err(Refusal::IdTaken(new.id.to_string()));
        }
        if let Some(held) = self.images().find(|i| i.name == new.name) {
            return Err(Refusal::ImageNameTaken { name: new.name.clone(), image: held.id.clone() });
        }
        let image = Image {
            id: new.id.clone(),
            name: new.name.clone(),
            description: new.description.clone(),
            manifest: new.manifest.clone(),
            location: new.location.clone(),
            digest: new.digest.clone(),
            size: new.size,
            created: now,
            tags: new.tags.clone(),
        };
        Ok(Decision { reply: Reply::Done, writes: vec![Write::Put(Row::Image(image))] })
    }

    pub(super) fn deregister_image(&self, id: &ImageId) -> Result<Decision, Refusal> {
        match self.image(id) {
            Some(_) => Ok(Decision { reply: Reply::Done, writes: vec![Write::Remove(Key::Image(id.clone()))] }),
            None => Err(Refusal::NoSuchImage(id.clone())),
        }
    }
}
