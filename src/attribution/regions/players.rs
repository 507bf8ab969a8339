//! Players of a game from the regions of a picture: disjoint parts of it, and the background.

use super::masking::Coalition;
use crate::attribution::InputRegion;

/// Regions that overlap by more than this (intersection over union) are one player: one thing under
/// two names.
const SAME: f64 = 0.5;

/// Most players, the background among them: the bits of a coalition.
pub(super) const MOST: usize = 64;

/// Disjoint parts of a picture. Player 0 is the background, everything outside all regions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Players {
    /// Whose each place is, row by row.
    of_place: Vec<u8>,
    /// Which one each region belongs to; `None` for what is background: regions that cannot play,
    /// those beyond the greatest number of players, and those without a place.
    pub of_region: Vec<Option<usize>>,
    pub count: usize,
}

impl Players {
    /// From the regions of a picture of `places` places, the surest first; at most `most` players
    /// with the background. A region that overlaps an earlier player's first region by more than
    /// half (intersection over union) joins that player. A place that several players have belongs
    /// to the one of the smallest area: of a part inside a whole both play, the whole with what is
    /// left of it.
    pub(super) fn new(regions: &[InputRegion], places: usize, most: usize) -> Self {
        let most = most.clamp(1, MOST);
        let mut first: Vec<usize> = Vec::new();
        let mut of_region = vec![None; regions.len()];
        for (at, region) in regions.iter().enumerate() {
            let known = first
                .iter()
                .position(|&earlier| overlap(&regions[earlier].places, &region.places) > SAME);
            of_region[at] = match known {
                Some(player) => Some(player + 1),
                None if region.plays && first.len() + 1 < most && region.places.contains(&true) => {
                    first.push(at);
                    Some(first.len())
                }
                None => None,
            };
        }
        let count = first.len() + 1;
        let mut by_area: Vec<(usize, usize)> =
            first.iter().map(|&region| area(&regions[region].places)).zip(1..).collect();
        // Of equal ones the surer is on top.
        by_area.sort_by_key(|&(area, player)| std::cmp::Reverse((area, player)));
        let mut of_place = vec![0; places];
        for (_, player) in by_area {
            for (place, _) in of_place
                .iter_mut()
                .zip(&regions[first[player - 1]].places)
                .filter(|&(_, &inside)| inside)
            {
                *place = player as u8;
            }
        }
        Self { of_place, of_region, count }
    }

    /// Every place's player.
    pub(super) fn of_places(&self) -> &[u8] {
        &self.of_place
    }
}

/// A set of players of a picture.
pub(super) struct Joined<'a> {
    pub picture: usize,
    pub players: &'a Players,
    /// The bits of those who are in it.
    pub set: u64,
}

impl Coalition for Joined<'_> {
    fn picture(&self) -> usize {
        self.picture
    }

    fn show(&self, shown: &mut [bool]) {
        for (shown, player) in shown.iter_mut().zip(&self.players.of_place) {
            *shown = self.set >> player & 1 == 1;
        }
    }
}

fn area(region: &[bool]) -> usize {
    region.iter().filter(|&&inside| inside).count()
}

/// Intersection over union, 0 for two empty regions.
fn overlap(a: &[bool], b: &[bool]) -> f64 {
    let both = a.iter().zip(b).filter(|&(&a, &b)| a && b).count();
    let either = area(a) + area(b) - both;
    both as f64 / either.max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Places of each player.
    fn areas(players: &Players) -> Vec<usize> {
        let places = |player: usize| {
            players.of_places().iter().filter(|&&of| usize::from(of) == player).count()
        };
        (0..players.count).map(places).collect()
    }

    fn line(range: std::ops::Range<usize>) -> Vec<bool> {
        (0..20).map(|place| range.contains(&place)).collect()
    }

    fn region(range: std::ops::Range<usize>) -> InputRegion {
        InputRegion { places: line(range), plays: true }
    }

    #[test]
    fn the_same_thing_plays_once_and_a_part_plays_for_itself() {
        let unsure = InputRegion { plays: false, ..region(13..15) };
        let regions =
            [region(2..12), region(3..12), region(4..7), region(30..31), region(15..20), unsure];
        let players = Players::new(&regions, 20, 64);
        assert_eq!(players.of_region, [Some(1), Some(1), Some(2), None, Some(3), None]);
        assert_eq!(areas(&players), [5, 7, 3, 5]);
        let mut shown = vec![false; 20];
        Joined { picture: 0, players: &players, set: 0b0110 }.show(&mut shown);
        assert_eq!(shown, line(2..12));
    }

    #[test]
    fn the_least_sure_regions_beyond_the_greatest_number_are_background() {
        let regions = [region(0..2), region(4..6), region(8..10)];
        let players = Players::new(&regions, 20, 3);
        assert_eq!(players.of_region, [Some(1), Some(2), None]);
        assert_eq!(areas(&players), [16, 2, 2]);
        assert_eq!(Players::new(&[], 20, 8).count, 1);
    }
}
