use std::sync::mpsc::channel;

use super::*;
use crate::session::checkpoint;
use crate::session::exhibit::Wall;

#[test]
fn what_is_in_memory_is_saved_where_the_engine_fails_but_not_a_run_in_which_nothing_was_made() {
    let dir = tempfile::tempdir().expect("a folder");
    let out = dir.path().join("run");
    let config = RunConfig {
        model: "tiny".into(),
        prompts: 2,
        num_generations: 2,
        eval_every: 0,
        sample_every: 0,
        checkpoint_every: 0,
        ..RunConfig::default()
    };
    let options = Options { config, device: "cpu".into(), out: Some(out.clone()), watched: true, ..Options::default() };
    let ((_commands, inbox), (outbox, _events)) = (channel(), channel());
    let painter = Painter::new(Wall::default());
    pollster::block_on(async {
        let mut engine = Engine::open(options, None, inbox, outbox, painter).await.expect("open");
        let saved = || checkpoint::available(&Record::checkpoints(&out)).pop();
        engine.rescue();
        assert!(saved().is_none());
        engine.pace = Pace::Running;
        while engine.studio.trainer.update() < 2 {
            engine.work().await.expect("work");
        }
        engine.turn("lambda_fid", "0.25").await.expect("turned");
        engine.rescue();
        let (update, path) = saved().expect("saved");
        let saved = checkpoint::load(&path).expect("whole");
        assert_eq!((update, saved.state.update, saved.config.lambda_fid), (2, 2, 0.25));
    });
}
