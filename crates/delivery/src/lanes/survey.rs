//! A look at all lanes, for the meter.

use reelhook_domain::circuit::Circuit;

use super::Lanes;
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
}
