//! What the Learn pane can show: pages in an order, each with what makes it go on.

use std::borrow::Cow;

use super::tour::Deed;

/// What one page says.
pub(super) struct Leaf<'a> {
    /// A line.
    pub(super) title: &'a str,
    /// What it explains.
    pub(super) body: &'a str,
    /// What the reader is to do; empty where there is nothing but reading.
    pub(super) ask: Cow<'a, str>,
    /// The widget that it speaks of.
    pub(super) anchor: Option<&'a str>,
}

impl Leaf<'_> {
    /// Seconds that it takes to read the page, at four words a second.
    pub(super) fn seconds(&self) -> f64 {
        self.body.split_whitespace().count() as f64 / 4.0
    }
}

/// Pages, and the reader's place in them. There is always a first page.
pub(super) trait Course {
    /// How many pages there are.
    fn pages(&self) -> usize;

    /// The page of this index.
    fn leaf_of(&self, page: usize) -> Leaf<'_>;

    /// Index of the page that the reader is at.
    fn at(&self) -> usize;

    /// Whether the page of this index is done.
    fn is_done(&self, page: usize) -> bool;

    /// Goes to a page; beyond the last there is none.
    fn turn_to(&mut self, page: usize);

    /// Takes in a deed; whether it is the one that this page asks for.
    fn note(&mut self, deed: &Deed) -> bool;

    /// Takes in that the page has been read, which is all that some ask for.
    fn read(&mut self);

    /// Forgets everything.
    fn start_over(&mut self);

    /// Takes in how many updates the run at hand has made, whether or not a page is read.
    fn saw(&mut self, _update: u64) {}

    /// Takes in that the page is opened; whether what it asks for has been done before.
    fn is_met(&mut self) -> bool {
        false
    }

    /// The page that the reader is at.
    fn leaf(&self) -> Leaf<'_> {
        self.leaf_of(self.at())
    }

    /// Whether it is the last one.
    fn is_last(&self) -> bool {
        self.at() + 1 >= self.pages()
    }

    /// Whether the last page is done.
    fn is_over(&self) -> bool {
        self.is_done(self.pages() - 1)
    }

    /// Whether there is anything to forget.
    fn is_begun(&self) -> bool {
        self.at() > 0 || (0..self.pages()).any(|page| self.is_done(page))
    }
}
