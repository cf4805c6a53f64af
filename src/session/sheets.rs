//! Sheets of samples: the same classes and seeds again and again, so that what tuning changes can be seen.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::data::grid;

/// Sheets that a face keeps.
const MOST: usize = 200;
/// Bytes of pictures that a face keeps.
const MOST_BYTES: usize = 96 << 20;
/// Between the pictures of a sheet, in pixels.
const GAP: usize = 2;

/// Samples of fixed classes and seeds, as the model draws them after `update` updates.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sheet {
    /// Updates done before it was drawn; 0 is the untouched model.
    pub update: u64,
    /// Side of the pictures in pixels.
    pub side: usize,
    /// Pictures per row.
    pub columns: usize,
    /// Class of each picture.
    pub classes: Vec<usize>,
    /// Each picture: `side * side * 3` bytes of RGB.
    pub pictures: Vec<Vec<u8>>,
}

/// An RGB picture of any size.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Raster {
    /// `width * height * 3` bytes.
    pub rgb: Vec<u8>,
    /// Pixels across.
    pub width: usize,
    /// Pixels down.
    pub height: usize,
}

impl Sheet {
    /// Whether every picture has the size it should have.
    pub fn is_whole(&self) -> bool {
        let bytes = self.side.checked_mul(self.side).and_then(|pixels| pixels.checked_mul(3));
        self.side > 0 && !self.pictures.is_empty() && self.pictures.iter().all(|p| Some(p.len()) == bytes)
    }

    /// All pictures in one, two pixels apart; nothing where a picture is not whole.
    pub fn raster(&self) -> Raster {
        if !self.is_whole() {
            return Raster::default();
        }
        let (rgb, width, height) = grid::grid_rgb(&self.pictures, self.side, self.columns, 1, GAP);
        Raster { rgb, width, height }
    }

    fn bytes(&self) -> usize {
        self.pictures.iter().map(Vec::len).sum()
    }
}

/// The sheets of a run, oldest first, in bounded memory.
#[derive(Clone, Debug, Default)]
pub struct Sheets(Vec<Arc<Sheet>>);

impl Sheets {
    /// Adds a sheet; one of the same update or of a later one, from before a reset, gives way. Where there are too many,
    /// those that stay lie evenly over the run; the first and the newest always stay.
    pub fn push(&mut self, sheet: Sheet) {
        if !sheet.is_whole() {
            return;
        }
        self.0.retain(|kept| kept.update < sheet.update);
        self.0.push(Arc::new(sheet));
        let mut bytes: usize = self.0.iter().map(|sheet| sheet.bytes()).sum();
        while self.0.len() > 2 && (self.0.len() > MOST || bytes > MOST_BYTES) {
            // The one whose neighbours lie closest together.
            let room = |&i: &usize| self.0[i + 1].update - self.0[i - 1].update;
            let Some(index) = (1..self.0.len() - 1).min_by_key(room) else { return };
            bytes -= self.0.remove(index).bytes();
        }
    }

    /// All sheets, oldest first.
    pub fn all(&self) -> &[Arc<Sheet>] {
        &self.0
    }

    /// The sheet drawn after `update` updates.
    pub fn at(&self, update: u64) -> Option<&Arc<Sheet>> {
        self.0.iter().find(|sheet| sheet.update == update)
    }

    /// Forgets what was drawn after `update` updates.
    pub fn truncate(&mut self, update: u64) {
        self.0.retain(|sheet| sheet.update <= update);
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sheet(update: u64) -> Sheet {
        Sheet { update, side: 2, columns: 2, classes: vec![0, 1], pictures: vec![vec![update as u8; 12]; 2] }
    }

    #[test]
    fn many_sheets_are_thinned_evenly_and_the_first_and_newest_stay() {
        let mut sheets = Sheets::default();
        for update in 0..1000 {
            sheets.push(sheet(update * 5));
            assert!(sheets.all().len() <= MOST);
            assert_eq!((sheets.all()[0].update, sheets.all().last().map(|s| s.update)), (0, Some(update * 5)));
        }
        let gaps: Vec<u64> = sheets.all().windows(2).map(|pair| pair[1].update - pair[0].update).collect();
        assert_eq!(sheets.all().len(), MOST);
        assert!(gaps.iter().all(|gap| *gap <= 50), "at most twice the mean of 25: {gaps:?}");
    }

    #[test]
    fn a_sheet_of_an_earlier_update_begins_anew_and_a_broken_one_is_left_out() {
        let mut sheets = Sheets::default();
        (0..4).for_each(|update| sheets.push(sheet(update)));
        sheets.push(Sheet { pictures: vec![vec![0; 3]], ..sheet(9) });
        assert_eq!(sheets.all().len(), 4);
        sheets.push(sheet(1));
        assert_eq!(sheets.all().iter().map(|s| s.update).collect::<Vec<_>>(), [0, 1]);
        assert!(sheets.at(1).is_some() && sheets.at(2).is_none());
    }

    #[test]
    fn a_raster_has_the_pictures_side_by_side() {
        let raster = sheet(7).raster();
        assert_eq!((raster.width, raster.height, raster.rgb.len()), (10, 6, 180));
        assert_eq!(raster.rgb[(2 * 10 + 2) * 3], 7);
        assert_eq!(Sheet::default().raster(), Raster::default());
    }
}
