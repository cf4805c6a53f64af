//! The desk: panes that the user can move, dock, hide and bring back; where they stand is remembered.

use std::collections::BTreeMap;

use eframe::egui::{self, Id, RichText, Stroke, Ui, Visuals, WidgetText};
use egui_tiles::{
    Behavior, Container, Linear, LinearDir, SimplificationOptions, TabState, TileId, Tiles, Tree, UiResponse,
};
use serde::{Deserialize, Serialize};

use super::{text, theme};

/// A pane, by what it shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(super) enum Place {
    Settings,
    Mix,
    Learn,
    Rollouts,
    Space,
    Inspector,
    Compare,
    Curves,
    Diagnosis,
    Machine,
    Log,
}

impl Place {
    /// All panes, in the order of the menu and of their shortcuts.
    pub(super) const ALL: [Self; 11] = [
        Self::Settings,
        Self::Mix,
        Self::Learn,
        Self::Rollouts,
        Self::Space,
        Self::Inspector,
        Self::Compare,
        Self::Curves,
        Self::Diagnosis,
        Self::Machine,
        Self::Log,
    ];

    /// The pane's name among the anchors of the tour.
    pub(super) fn anchor(self) -> Option<&'static str> {
        Some(match self {
            Self::Settings => "settings",
            Self::Mix => "faders",
            Self::Rollouts => "gallery",
            Self::Space => "feature-space",
            Self::Inspector => "inspector",
            Self::Curves => "curves",
            Self::Diagnosis => "diagnosis",
            Self::Log => "log",
            Self::Learn | Self::Compare | Self::Machine => return None,
        })
    }

    /// The pane whose title this is, however it is written.
    pub(super) fn by_title(title: &str) -> Option<Self> {
        let plain = |text: &str| text.to_lowercase().replace([' ', '-', '_'], "");
        Self::ALL.into_iter().find(|place| plain(text::place(*place).0) == plain(title))
    }

    /// The pane's name in links.
    pub(super) fn in_links(self) -> String {
        text::place(self).0.to_lowercase().replace(' ', "-")
    }

    /// The pane of this name among the anchors.
    pub(super) fn by_anchor(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|place| place.anchor() == Some(name))
    }
}

/// Where the panes stand.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Desk {
    tree: Tree<Place>,
    /// Panes that a teacher's link hides, and whether they were there before.
    #[serde(skip)]
    withheld: BTreeMap<Place, bool>,
}

impl Default for Desk {
    fn default() -> Self {
        let mut tiles = Tiles::default();
        let mut tabs = |places: &[Place]| {
            let panes = places.iter().map(|place| tiles.insert_pane(*place)).collect();
            tiles.insert_tab_tile(panes)
        };
        let left = tabs(&[Place::Settings, Place::Mix, Place::Learn]);
        let main = tabs(&[Place::Rollouts, Place::Space, Place::Inspector, Place::Compare]);
        let foot = tabs(&[Place::Log, Place::Machine]);
        let right = tabs(&[Place::Curves, Place::Diagnosis]);
        let mut linear = |dir, parts: &[(TileId, f32)]| {
            let mut linear = Linear::new(dir, parts.iter().map(|part| part.0).collect());
            parts.iter().for_each(|(tile, share)| linear.shares.set_share(*tile, *share));
            tiles.insert_container(Container::Linear(linear))
        };
        let middle = linear(LinearDir::Vertical, &[(main, 0.81), (foot, 0.19)]);
        let root = linear(LinearDir::Horizontal, &[(left, 0.23), (middle, 0.52), (right, 0.25)]);
        Self { tree: Tree::new(Id::unique("desk"), root, tiles), withheld: BTreeMap::new() }
    }
}

impl Desk {
    /// A desk that was remembered, unless it is of a version with other panes.
    pub(super) fn restored(remembered: Option<Self>) -> Self {
        remembered.filter(|desk| Place::ALL.iter().all(|place| desk.tile(*place).is_some())).unwrap_or_default()
    }

    fn tile(&self, place: Place) -> Option<TileId> {
        self.tree.tiles.find_pane(&place)
    }

    /// Whether a pane is on the desk, if only behind another.
    pub(super) fn has(&self, place: Place) -> bool {
        self.tile(place).is_some_and(|tile| self.tree.is_visible(tile))
    }

    /// Hides panes, whatever is asked for, until they are given back.
    pub(super) fn withhold(&mut self, places: impl Iterator<Item = Place>) {
        for place in places {
            let before = self.has(place);
            self.put(place, false);
            self.withheld.entry(place).or_insert(before);
        }
    }

    /// Brings back those of the withheld panes that were there before.
    pub(super) fn give_back(&mut self) {
        std::mem::take(&mut self.withheld).into_iter().for_each(|(place, before)| self.put(place, before));
    }

    /// The desk with all its panes, to be remembered.
    pub(super) fn whole(&self) -> Self {
        let mut desk = self.clone();
        desk.give_back();
        desk
    }

    /// Hides a pane, or brings it back to where it was.
    pub(super) fn put(&mut self, place: Place, visible: bool) {
        if let Some(tile) = self.tile(place).filter(|_| !self.withheld.contains_key(&place)) {
            self.tree.set_visible(tile, visible);
        }
    }

    /// Brings a pane to the front.
    pub(super) fn open(&mut self, place: Place) {
        if self.withheld.contains_key(&place) {
            return;
        }
        self.put(place, true);
        self.tree.make_active(|_, tile| matches!(tile, egui_tiles::Tile::Pane(pane) if *pane == place));
    }

    /// Brings a pane to the front for a reader of the tour: where it would cover the tour, that goes elsewhere.
    pub(super) fn open_beside_tour(&mut self, place: Place) {
        let home = |place| self.tile(place).and_then(|tile| self.tree.tiles.parent_of(tile));
        if home(place).is_some() && home(place) == home(Place::Learn) {
            let away = if home(place) == home(Place::Curves) { Place::Settings } else { Place::Curves };
            if let (Some(tour), Some(to)) = (self.tile(Place::Learn), home(away)) {
                self.tree.move_tile_to_container(tour, to, usize::MAX, false);
                self.open(Place::Learn);
            }
        }
        self.open(place);
    }

    /// Draws every pane by `draw`, under a tab with its title and what `badge` adds to it.
    pub(super) fn show(
        &mut self,
        ui: &mut Ui,
        badge: &dyn Fn(Place) -> Option<RichText>,
        draw: &mut dyn FnMut(&mut Ui, Place),
    ) {
        self.tree.ui(&mut Draw { badge, draw }, ui);
    }

    /// Draws the list of panes to show or hide; what was opened.
    pub(super) fn menu(&mut self, ui: &mut Ui) -> Option<Place> {
        let mut opened = None;
        for (index, place) in Place::ALL.into_iter().enumerate() {
            if self.withheld.contains_key(&place) {
                continue;
            }
            let mut visible = self.has(place);
            ui.horizontal(|ui| {
                let (name, help) = text::place(place);
                if ui.checkbox(&mut visible, name).on_hover_text(help).changed() {
                    self.put(place, visible);
                    if visible {
                        self.open(place);
                        opened = Some(place);
                    }
                }
                ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
                    ui.weak(text::place_key(index));
                });
            });
        }
        ui.separator();
        if ui.button(text::LAYOUT_RESET).on_hover_text(text::LAYOUT_RESET_HELP).clicked() {
            let withheld = std::mem::take(&mut self.withheld);
            *self = Self::default();
            self.withhold(withheld.into_keys());
            ui.close();
        }
        opened
    }
}

/// How the tiles look, and who draws what is in them.
struct Draw<'a> {
    badge: &'a dyn Fn(Place) -> Option<RichText>,
    draw: &'a mut dyn FnMut(&mut Ui, Place),
}

impl Behavior<Place> for Draw<'_> {
    fn pane_ui(&mut self, ui: &mut Ui, _tile: TileId, place: &mut Place) -> UiResponse {
        theme::panel(ui, 12, 8).show(ui, |ui| {
            ui.set_min_size(ui.available_size());
            ui.push_id(*place, |ui| (self.draw)(ui, *place));
        });
        UiResponse::None
    }

    fn tab_title_for_pane(&mut self, place: &Place) -> WidgetText {
        (self.badge)(*place).unwrap_or_else(|| RichText::new(text::place(*place).0)).into()
    }

    fn is_tab_closable(&self, _tiles: &Tiles<Place>, _tile: TileId) -> bool {
        true
    }

    fn on_tab_close(&mut self, tiles: &mut Tiles<Place>, tile: TileId) -> bool {
        tiles.set_visible(tile, false);
        false // hidden, not removed: the menu brings it back to its place
    }

    fn simplification_options(&self) -> SimplificationOptions {
        SimplificationOptions { all_panes_must_have_tabs: true, ..SimplificationOptions::default() }
    }

    fn tab_bar_height(&self, _style: &egui::Style) -> f32 {
        28.0
    }

    fn gap_width(&self, _style: &egui::Style) -> f32 {
        3.0
    }

    fn min_size(&self) -> f32 {
        110.0
    }

    fn tab_bar_color(&self, visuals: &Visuals) -> egui::Color32 {
        visuals.extreme_bg_color
    }

    fn tab_bg_color(&self, visuals: &Visuals, _: &Tiles<Place>, _: TileId, state: &TabState) -> egui::Color32 {
        if state.active { visuals.panel_fill } else { egui::Color32::TRANSPARENT }
    }

    fn tab_outline_stroke(&self, _: &Visuals, _: &Tiles<Place>, _: TileId, _: &TabState) -> Stroke {
        Stroke::NONE
    }

    fn tab_bar_hline_stroke(&self, _: &Visuals) -> Stroke {
        Stroke::NONE
    }

    fn tab_text_color(&self, visuals: &Visuals, _: &Tiles<Place>, _: TileId, state: &TabState) -> egui::Color32 {
        if state.active { visuals.strong_text_color() } else { visuals.weak_text_color() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_name_every_pane_and_a_withheld_one_stays_away_until_it_is_given_back() {
        assert_eq!(Place::ALL.map(Place::in_links).map(|name| Place::by_title(&name)), Place::ALL.map(Some));
        assert_eq!(Place::ALL.map(Place::in_links), crate::config::link::PANES.map(String::from));
        let mut desk = Desk::default();
        desk.put(Place::Log, false);
        desk.withhold([Place::Curves, Place::Log].into_iter());
        desk.withhold([Place::Curves].into_iter());
        desk.open(Place::Curves);
        desk.put(Place::Log, true);
        assert!(!desk.has(Place::Curves) && !desk.has(Place::Log) && desk.whole().has(Place::Curves));
        desk.give_back();
        assert!(desk.has(Place::Curves) && !desk.has(Place::Log), "as it was before");
    }

    #[test]
    fn every_pane_can_be_hidden_and_brought_back_and_the_desk_is_remembered() {
        let mut desk = Desk::default();
        for place in Place::ALL {
            assert!(desk.has(place), "{place:?}");
            desk.put(place, false);
            assert!(!desk.has(place));
            let text = serde_json::to_string(&desk).unwrap();
            desk = Desk::restored(serde_json::from_str(&text).unwrap());
            assert!(!desk.has(place));
            desk.open(place);
            assert!(desk.has(place));
        }
        assert!(Desk::restored(None).has(Place::Rollouts));
    }
}
