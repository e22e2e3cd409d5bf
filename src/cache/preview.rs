//! What others have, without taking it: for a run that would be.

use super::place::Place;
use super::transport::Fault;
use super::{NoPlace, Settings, record_name};
use crate::engine::Question;
use crate::model::shared::{PublicKey, Record};

/// Places with results of others, which are only looked at.
pub(crate) struct Preview {
    /// Each until it does not answer, or has nothing.
    places: Vec<Place>,
    trusted: Vec<PublicKey>,
    /// What the user should know.
    pub warnings: Vec<String>,
}

impl Preview {
    /// Nobody is asked yet.
    pub(crate) fn new(settings: &Settings) -> Result<Self, NoPlace> {
        let mut preview = Self {
            places: Vec::new(),
            trusted: settings.trusted.clone(),
            warnings: settings.warning.clone().into_iter().collect(),
        };
        let to = settings.to.as_ref();
        preview.trusted.extend(to.map(|(_, key)| key.public()));
        let all = to.map(|(address, _)| address).into_iter();
        for address in all.chain(&settings.from) {
            let place = Place::open(address, false)?;
            match place.sign() {
                Ok(true) => preview.places.push(place),
                Ok(false) => preview.warnings.push(place.is_none()),
                Err(fault) => preview.gone(&place, &fault),
            }
        }
        Ok(preview)
    }

    /// Whether somebody has a result, signed by one who is trusted. Whether all of its bytes are there is not looked at.
    pub(crate) fn has(&mut self, question: &Question) -> bool {
        let mut at = 0;
        while let Some(place) = self.places.get(at) {
            match self.look_at(place, question) {
                Ok(true) => return true,
                Ok(false) => at += 1,
                Err(fault) => {
                    let place = self.places.remove(at);
                    self.gone(&place, &fault);
                }
            }
        }
        false
    }

    fn look_at(&self, place: &Place, question: &Question) -> Result<bool, Fault> {
        let name = record_name(&question.key);
        let Some(bytes) = place.transport.read(&name, Record::LONGEST)? else {
            return Ok(false);
        };
        let (since, until) = question.within;
        let read = Record::read(&bytes, question.key, &self.trusted);
        Ok(read.is_ok_and(|(record, _)| (since..=until).contains(&record.executed)))
    }

    fn gone(&mut self, place: &Place, fault: &Fault) {
        self.warnings.push(format!(
            "cache {} is not asked: {fault}\nhint: {}",
            place.address,
            place.hint(fault)
        ));
    }
}
