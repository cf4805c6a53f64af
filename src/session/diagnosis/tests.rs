//! Each kind on a curve that has it, and on its healthy neighbour; and on recorded runs.

use super::*;
use crate::config::Param;
use crate::session::Event;

#[test]
fn calibrate() {
    let Ok(list) = std::env::var("RUNS") else { return };
    for folder in list.split(' ') {
        let text = std::fs::read_to_string(format!("{folder}/metrics.jsonl")).unwrap();
        let toml = std::fs::read_to_string(format!("{folder}/run.toml")).unwrap();
        let config = RunConfig::from_toml(&toml).unwrap();
        let mut history = History::default();
        let mut last = String::new();
        println!("## {folder}");
        for line in text.lines() {
            let json: serde_json::Map<String, serde_json::Value> = serde_json::from_str(line).unwrap();
            let update = json["update"].as_u64().unwrap();
            let metrics = json.iter().filter_map(|(k, v)| Some((k.clone(), v.as_f64()?))).filter(|(k, _)| k != "update").collect();
            history.observe(&Event::Update { update, metrics });
            let found = diagnose(&history, &config);
            let say: Vec<String> = found.iter().map(|f| format!("{:?}/{:?} since {} rewind {:?}", f.kind, f.severity, f.since, f.rewind_to)).collect();
            let say = say.join("; ");
            if say != last { println!("{update:4} {say}"); last = say; }
        }
        for found in diagnose(&history, &config) { println!("   {:?} {:?} {:?}", found.kind, found.evidence.iter().map(|e| format!("{} {:.3}>{:.3}", e.metric, e.then, e.now)).collect::<Vec<_>>(), found.remedies.iter().map(|r| format!("{}={}", r.param, r.value)).collect::<Vec<_>>()); }
        for w in watch(&history, &config) { println!("      {:?} {} {:?} limit {}{}", w.kind, w.metric, w.level, w.limit, if w.below {" below"} else {""}); }
    }
    let _ = Param::find("x");
}
