//! Who may be connected: all together, and from one address.
//!
//! # Theory of operation
//! A connection takes a seat. Where all are taken, the one that has rested for longest is closed in its favour: it waits
//! between two requests, or has not sent the head of its first. Where one address has as many as it may, that is one of its
//! own. Where none rests, the connection gets a seat of the reserve for a moment: long enough to ask for the server's
//! health, which is answered though everything else is refused. So neither idle connections nor readers that do not read can make the server look
//! dead to what watches it.

use std::collections::HashMap;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use axum::body::{Body, Bytes};
use http_body::{Frame, SizeHint};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Seats of the reserve: a quarter of the others, but no more than this, and for one address.
const RESERVE: usize = 64;
const RESERVE_OF_ONE: usize = 8;

/// The seats of all connections, whichever listener they come to. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Room(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    most: usize,
    most_of_one: usize,
    reserve: usize,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    next: u64,
    seats: HashMap<u64, Guest>,
    /// How many seats of each kind there are, in all and for one address.
    counts: HashMap<(Kind, Option<IpAddr>), usize>,
}

#[derive(Debug)]
struct Guest {
    /// Where it comes from; nothing for a socket in the file system.
    address: Option<IpAddr>,
    kind: Kind,
    /// Since when it has rested; nothing while a request is answered.
    resting: Option<Instant>,
    requests: usize,
    leave: CancellationToken,
}

/// What a seat is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    /// Everything.
    Ordinary,
    /// To ask for the server's health.
    Reserve,
}

/// A connection's seat, until it is dropped.
#[derive(Debug)]
pub(crate) struct Seat {
    room: Room,
    id: u64,
    kind: Kind,
    leave: CancellationToken,
}

impl Room {
    /// A room with so many seats, and so many for one address.
    pub(crate) fn new(most: usize, most_of_one: usize) -> Self {
        let reserve = most.div_ceil(4).clamp(RESERVE_OF_ONE, RESERVE);
        Self(Arc::new(Inner { most, most_of_one, reserve, taken: Mutex::default() }))
    }

    /// A seat for a connection from there; none where even the reserve is taken.
    pub(crate) fn seat(&self, address: Option<IpAddr>) -> Option<Seat> {
        let address = address.map(network);
        let mut taken = self.lock();
        let of_one = |kind, taken: &Taken| address.map_or(0, |address| taken.count(kind, Some(address)));
        let has_room = if of_one(Kind::Ordinary, &taken) >= self.0.most_of_one {
            taken.dismiss_resting(address)
        } else {
            taken.count(Kind::Ordinary, None) < self.0.most || taken.dismiss_resting(None)
        };
        let kind = if has_room { Kind::Ordinary } else { Kind::Reserve };
        let is_full =
            taken.count(Kind::Reserve, None) >= self.0.reserve || of_one(Kind::Reserve, &taken) >= RESERVE_OF_ONE;
        if kind == Kind::Reserve && is_full {
            return None;
        }
        let leave = CancellationToken::new();
        let guest = Guest { address, kind, resting: Some(Instant::now()), requests: 0, leave: leave.clone() };
        let id = taken.insert(guest);
        Some(Seat { room: self.clone(), id, kind, leave })
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        // Every change is whole at each step, so a panic elsewhere leaves it so.
        self.0.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Guest {
    /// What it is counted under: in all, and for its address if it has one.
    fn keys(&self) -> impl Iterator<Item = (Kind, Option<IpAddr>)> + use<> {
        let kind = self.kind;
        std::iter::once(None).chain(self.address.map(Some)).map(move |address| (kind, address))
    }
}

/// What counts as one address: of IPv6 the first half, since the other is its owner's to choose.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => std::net::Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
        address => address,
    }
}

impl Taken {
    fn count(&self, kind: Kind, address: Option<IpAddr>) -> usize {
        self.counts.get(&(kind, address)).copied().unwrap_or(0)
    }

    fn insert(&mut self, guest: Guest) -> u64 {
        let id = self.next;
        self.next += 1;
        for key in guest.keys() {
            *self.counts.entry(key).or_default() += 1;
        }
        self.seats.insert(id, guest);
        id
    }

    fn remove(&mut self, id: u64) -> Option<Guest> {
        let guest = self.seats.remove(&id)?;
        for key in guest.keys() {
            let count = self.counts.get_mut(&key).expect("each guest was counted");
            *count -= 1;
            if *count == 0 {
                self.counts.remove(&key);
            }
        }
        Some(guest)
    }

    /// Closes the connection that has rested for longest, of all or from one address; false where none rests.
    fn dismiss_resting(&mut self, address: Option<IpAddr>) -> bool {
        let is_one =
            |guest: &Guest| guest.kind == Kind::Ordinary && address.is_none_or(|own| guest.address == Some(own));
        let resting = self.seats.iter().filter(|(_, guest)| is_one(guest));
        let oldest = resting.filter_map(|(&id, guest)| Some((guest.resting?, id))).min();
        let Some((_, id)) = oldest else { return false };
        if let Some(guest) = self.remove(id) {
            guest.leave.cancel();
        }
        true
    }
}

impl Seat {
    /// What it is good for.
    pub(crate) const fn kind(&self) -> Kind {
        self.kind
    }

    /// Cancelled when the connection must make room for another.
    pub(crate) const fn leave(&self) -> &CancellationToken {
        &self.leave
    }

    /// Notes that a request is answered, until what is returned is dropped.
    pub(crate) fn begin(&self) -> Busy {
        if let Some(guest) = self.room.lock().seats.get_mut(&self.id) {
            guest.requests += 1;
            guest.resting = None;
        }
        Busy { room: self.room.clone(), id: self.id }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.room.lock().remove(self.id);
    }
}

/// A request that is answered.
#[derive(Debug)]
pub(crate) struct Busy {
    room: Room,
    id: u64,
}

/// The body of an answer, which keeps what says that it is under way until it was read to its end.
pub(crate) fn until_read(body: Body, guards: impl Send + Unpin + 'static) -> Body {
    Body::new(Answering { body, _guards: guards })
}

impl Drop for Busy {
    fn drop(&mut self) {
        if let Some(guest) = self.room.lock().seats.get_mut(&self.id) {
            guest.requests -= 1;
            if guest.requests == 0 {
                guest.resting = Some(Instant::now());
            }
        }
    }
}

struct Answering<G> {
    body: Body,
    _guards: G,
}

impl<G: Unpin> http_body::Body for Answering<G> {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: Option<IpAddr> = Some(IpAddr::V4(std::net::Ipv4Addr::LOCALHOST));

    fn other(last: u8) -> Option<IpAddr> {
        Some(IpAddr::from([192, 0, 2, last]))
    }

    #[test]
    fn what_rests_for_longest_makes_room_and_what_works_stays() {
        let room = Room::new(2, 2);
        let (first, second) = (room.seat(HERE).unwrap(), room.seat(other(1)).unwrap());
        let busy = first.begin();
        let third = room.seat(other(2)).unwrap();
        assert!(!first.leave().is_cancelled() && second.leave().is_cancelled());
        assert_eq!(third.kind(), Kind::Ordinary);
        let _working = third.begin();
        assert_eq!(room.seat(other(3)).unwrap().kind(), Kind::Reserve, "both work");
        drop(busy);
        assert_eq!(room.seat(other(3)).unwrap().kind(), Kind::Ordinary);
        assert!(first.leave().is_cancelled());
    }

    #[test]
    fn one_address_has_its_share_and_the_reserve_has_an_end() {
        let room = Room::new(10, 2);
        let seats: Vec<_> = (0..2).map(|_| room.seat(HERE).unwrap()).collect();
        let work: Vec<_> = seats.iter().map(Seat::begin).collect();
        let reserve: Vec<_> = (0..RESERVE_OF_ONE).map(|_| room.seat(HERE).unwrap()).collect();
        assert!(reserve.iter().all(|seat| seat.kind() == Kind::Reserve));
        assert!(room.seat(HERE).is_none());
        assert_eq!(room.seat(other(1)).unwrap().kind(), Kind::Ordinary, "others are served");
        drop(work);
        assert_eq!(room.seat(HERE).unwrap().kind(), Kind::Ordinary);
        assert!(seats[0].leave().is_cancelled(), "its own oldest made room");
    }

    #[test]
    fn those_without_an_address_share_all_seats() {
        let room = Room::new(4, 1);
        let seats: Vec<_> = (0..4).map(|_| room.seat(None).unwrap()).collect();
        let work: Vec<_> = seats.iter().map(Seat::begin).collect();
        assert!(seats.iter().all(|seat| seat.kind() == Kind::Ordinary && !seat.leave().is_cancelled()));
        assert_eq!(room.seat(HERE).unwrap().kind(), Kind::Reserve);
        drop(work);
        assert_eq!(room.seat(HERE).unwrap().kind(), Kind::Ordinary);
    }
}
