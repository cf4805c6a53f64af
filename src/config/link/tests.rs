use proptest::prelude::*;

use super::*;

fn refused(text: &str) -> String {
    Link::parse(text).expect_err(text).to_string()
}

#[test]
fn a_link_always_names_the_seed_and_comes_back_the_same() {
    assert_eq!(RunConfig::default().to_link(), "artune:?seed=0");
    for config in [
        RunConfig { beta: 0.5, classes: "cat, dog".into(), ..RunConfig::default() },
        RunConfig { seed: 7, ..RunConfig::default() },
    ] {
        let link = config.to_link();
        assert_eq!(link.matches("seed=").count(), 1, "{link}");
        assert_eq!(RunConfig::from_link(&format!("  {link}\n")).unwrap(), config);
        let page = link.replace("artune:?", "https://example.org/artune/#");
        assert_eq!(RunConfig::from_link(&page).unwrap(), config);
        assert_eq!(RunConfig::from_link(&config.share_text()).unwrap(), config);
    }
}

#[test]
fn what_is_no_link_is_refused() {
    for bad in ["", "hello", "artune:", "https://example.org/", "artune:?nothing=1", "artune:?beta=x", "?beta", "?=1"] {
        assert!(Link::parse(bad).is_err(), "{bad}");
    }
    assert!(Link::parse("ärtun").is_err(), "no character is cut");
    assert!(refused("?beta=%2").contains("name=value"));
    assert!(refused("?autostart=perhaps").contains("true or false"));
}

#[test]
fn hostile_text_gives_short_errors() {
    let long = "a".repeat(1 << 20);
    assert!(refused(&long).contains("16384"));
    let long = &long[..1 << 13];
    for text in [
        long.to_string(),
        format!("{long}=1"),
        format!("beta={long}"),
        format!("loss_type={long}"),
        format!("lock={long}"),
        format!("preset={long}"),
        format!("lesson={long}"),
        format!("autostart={long}"),
    ] {
        assert!(refused(&text).len() < 200, "{}", refused(&text));
    }
    for bad in ["lesson=javascript:alert(1)", "lesson=data:text/plain,x", "lesson=file:///etc/passwd", "lesson="] {
        assert!(refused(bad).contains("http"), "{bad}");
    }
}

#[test]
fn an_unknown_name_is_answered_with_the_nearest_of_its_kind() {
    for (text, meant) in [
        ("lock=lambda_fd", "`lambda_fid`"),
        ("hide=optimizer", "`optimiser`"),
        ("hide=feature-spac", "`feature-space`"),
        ("hide=preset", "`presets`"),
        ("show=curve", "`curves`"),
        ("preset=colapse", "`collapse`"),
        ("autostrt=1", "`autostart`"),
        ("device=cpuu", "`cpu`"),
    ] {
        assert!(refused(text).contains(&format!("did you mean {meant}?")), "{text}: {}", refused(text));
    }
    assert!(refused("lock=curves").contains("`lock`"), "a pane is hidden, not locked");
}

#[test]
fn a_preset_comes_first_wherever_it_stands() {
    let link = Link::parse("https://example.org/?lambda_fid=0&loo_fid_weight=1&preset=collapse&seed=3").unwrap();
    assert_eq!((link.preset, link.config.lambda_fid, link.config.loo_fid_weight), (Some("collapse"), 0.0, 1.0));
    assert_eq!((link.config.learning_rate, link.config.seed), (2e-4, 3));
    let link = Link::parse("entropy_max=0.06&entropy_min=0.05").unwrap();
    assert_eq!(link.config.entropy_min, 0.05, "pairs are checked together");
}

#[test]
fn query_and_fragment_are_read_together_and_trackers_are_left_out() {
    let link = Link::parse("https://example.org/a/?seed=3&utm_source=x&fbclid=y#autostart&lock=loss,Beta").unwrap();
    assert!(link.autostart && link.lock.has("Loss") && link.lock.has("beta") && link.config.seed == 3);
    let bare = Link::default().over("https://example.org/a/").unwrap();
    assert_eq!(bare, Link::default());
}

#[test]
fn names_cover_a_setting_its_group_or_all() {
    let beta = Param::find("beta").unwrap();
    let covered = |text: &str| Link::parse(text).unwrap().lock.covers(beta);
    assert!(covered("lock=beta") && covered("lock=loss") && covered("lock=all") && covered("lock=seed&lock=beta"));
    assert!(!covered("lock=seed") && !covered("lock=") && !covered("hide=beta"));
}

#[test]
fn a_page_keeps_its_address_and_nothing_of_its_old_query() {
    let link = Link { lesson: Some("lessons/one.toml".into()), autostart: true, ..Link::default() };
    let page = link.page("https://example.org/artune/?seed=9#there");
    assert_eq!(page, "https://example.org/artune/?lesson=lessons/one.toml&preset=full&seed=0&autostart=true");
}

#[test]
fn a_link_with_a_lesson_stands_by_its_settings_whatever_the_lesson_has() {
    let lesson = Link::parse("preset=collapse&lock=learning_rate").unwrap();
    let begun = lesson.clone().over("lesson=diversity&seed=3").unwrap();
    assert_eq!((begun.config.learning_rate, begun.config.seed), (2e-4, 3));
    let turned_back = Link { lesson: Some("diversity".into()), ..Link::default() };
    assert_eq!(lesson.over(&turned_back.to_string()).unwrap().config, RunConfig::default());
}

#[test]
fn no_name_means_two_things() {
    let groups: BTreeSet<&str> = PARAMS.iter().map(|param| param.group).collect();
    let names: Vec<String> =
        PARAMS.iter().map(|param| param.name).chain(groups).chain(PANES).chain(MENUS).map(str::to_lowercase).collect();
    let alone: BTreeSet<&String> = names.iter().collect();
    assert_eq!(alone.len(), names.len());
    assert!(PARAMS.iter().all(|param| !KEYS.contains(&param.name)));
}

fn links() -> impl Strategy<Value = Link> {
    let hidden: Vec<&str> =
        PARAMS.iter().flat_map(|p| [p.name, p.group]).chain(PANES).chain(MENUS).chain([ALL]).collect();
    let locked: Vec<&str> = PARAMS.iter().flat_map(|p| [p.name, p.group]).chain([ALL]).collect();
    let presets: Vec<&str> = PRESETS.iter().map(|preset| preset.name).collect();
    let some =
        |names: Vec<&'static str>| prop::collection::btree_set(prop::sample::select(names), 0..4).prop_map(Names);
    let settings = (any::<u32>(), 0.0..20.0, "[a-zé&=%+#?/: ,]{0,9}x");
    (
        (settings, prop::option::of(prop::sample::select(presets)), any::<bool>()),
        (some(locked), some(hidden)),
        (
            prop::option::of("[a-z?&#=%é/ ]{0,9}\\.toml"),
            prop::option::of(prop::sample::select(PANES.to_vec())),
            prop::option::of(prop::sample::select(DEVICES.to_vec())),
        ),
    )
        .prop_map(|(((seed, beta, classes), preset, autostart), (lock, hide), (lesson, show, device))| {
            let lesson = lesson.map(|lesson| lesson.trim().to_owned());
            let preset = preset.or(lesson.as_ref().map(|_| "full"));
            let mut config = RunConfig::preset(preset.unwrap_or("full")).unwrap();
            (config.seed, config.beta, config.classes) = (seed.into(), beta, classes.trim().into());
            Link { config, preset, autostart, lock, hide, lesson, show, device }
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn a_link_comes_back_as_it_was(link in links()) {
        prop_assert_eq!(&Link::parse(&link.to_string()).unwrap(), &link);
        prop_assert_eq!(&Link::parse(&link.page("https://example.org/artune/")).unwrap(), &link);
    }

    #[test]
    fn no_text_is_too_strange_to_be_answered(text in "\\PC{0,200}", pairs in "[a-z_%=&?#,:0-9é ]{0,80}") {
        let _ = Link::parse(&text);
        let _ = Link::parse(&format!("artune:?{pairs}"));
        let _ = Link::parse(&format!("lock={pairs}&hide={text}"));
    }
}
