//! A look at the lanes: at all of them for the meter, at some deliveries for whoever asks what they wait for.

use std::collections::{HashMap, HashSet};

use reelhook_domain::circuit::Circuit;
use reelhook_domain::delivery::Wait;
use reelhook_domain::id::{DeliveryId, EndpointId};
use reelhook_domain::time::Timestamp;

use super::Lanes;
use crate::lane::Lane;
use crate::meter::Survey;

impl Lanes {
    /// How all lanes are at the moment.
    pub(crate) fn survey(&self) -> Survey {
        let mut survey = Survey { lanes: self.lanes.len(), ..Survey::default() };
        for lane in self.lanes.values() {
            match lane.circuit() {
                Circuit::Closed { .. } => {}
                Circuit::Open { .. } => survey.open += 1,
                Circuit::HalfOpen { .. } => survey.half_open += 1,
            }
            survey.parked += usize::from(lane.parked().is_some());
        }
        survey
    }

    /// What each of these deliveries waits for, as far as a lane has it.
    pub(crate) fn waits(&mut self, asked: Vec<(EndpointId, DeliveryId)>, now: Timestamp) -> HashMap<DeliveryId, Wait> {
        let mut by_lane: HashMap<EndpointId, HashSet<DeliveryId>> = HashMap::new();
        for (endpoint, delivery) in asked {
            by_lane.entry(endpoint).or_default().insert(delivery);
        }
        let lanes = &mut self.lanes;
        let waits = |(endpoint, wanted)| lanes.get_mut(&endpoint).map(|lane: &mut Lane| lane.why(&wanted, now));
        by_lane.into_iter().filter_map(waits).flatten().collect()
    }
}
