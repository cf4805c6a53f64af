//! Where the reader is in the tour or the lesson: a list of all pages, and a dot for each.

use eframe::egui::{ComboBox, Sense, Stroke, Ui, WidgetInfo, accesskit::Role, pos2, vec2};

use crate::ui::course::Course;
use crate::ui::text::learn as words;
use crate::ui::theme;

/// Height of the row of dots, and the largest distance of two, in points.
const DOTS: [f32; 2] = [14.0, 16.0];

/// Draws list and dots; returns the index of another page that the reader has chosen.
pub(super) fn show(ui: &mut Ui, course: &dyn Course) -> Option<usize> {
    let (mut to, pages) = (course.at(), course.pages());
    let list = ComboBox::from_id_salt("learn pages").width(ui.available_width()).height(420.0);
    let list = list.selected_text(words::page_of(course.at() + 1, pages)).show_ui(ui, |ui| {
        for index in 0..pages {
            let line = words::listed(index + 1, course.leaf_of(index).title, course.is_done(index));
            ui.selectable_value(&mut to, index, line);
        }
    });
    list.response.accessible_name(words::PAGES);

    let width = (ui.available_width() / pages as f32).min(DOTS[1]);
    let (row, _) = ui.allocate_exact_size(vec2(width * pages as f32, DOTS[0]), Sense::hover());
    for index in 0..pages {
        let left = row.left() + width * index as f32;
        let cell = row.with_min_x(left).with_max_x(left + width);
        // The list above serves the keyboard: twenty more stops would be in its way.
        let dot = ui.interact(cell, ui.scope_id().with(("dot", index)), Sense::CLICK);
        let (done, here) = (course.is_done(index), index == course.at());
        let name = words::dot(index + 1, course.leaf_of(index).title, done);
        dot.widget_info(|| WidgetInfo::labeled(Role::Button, true, &name));
        let colour = if done || here { theme::accent(ui) } else { ui.visuals().weak_text_color() };
        let radius = match (here, dot.hovered()) {
            (true, _) => 4.5,
            (false, true) => 4.0,
            (false, false) => 3.0,
        };
        let centre = pos2(cell.center().x, row.center().y);
        match done {
            true => ui.painter().circle_filled(centre, radius, colour),
            false => ui.painter().circle_stroke(centre, radius, Stroke::new(if here { 2.0 } else { 1.0 }, colour)),
        };
        if dot.on_hover_text(name).clicked() {
            to = index;
        }
    }
    (to != course.at()).then_some(to)
}
