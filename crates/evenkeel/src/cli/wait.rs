//! Waiting on the daemon: ask, show, pause, until it is so or the time is over.
//!
//! Owns the pauses and nothing about what is waited for. Next: [`super::launch`] and [`super::balancer`].

use std::time::{Duration, Instant};

/// Between the first questions; most waits are over within a second.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
/// Between later ones.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Asks until `ask` answers something; `None` when `timeout` is over. It is asked at least once.
///
/// # Errors
/// Those of `ask`.
pub fn until<T>(timeout: Duration, mut ask: impl FnMut() -> anyhow::Result<Option<T>>) -> anyhow::Result<Option<T>> {
    let start = Instant::now();
    let mut pause = FIRST_PAUSE;
    loop {
        if let Some(answer) = ask()? {
            return Ok(Some(answer));
        }
        let left = timeout.saturating_sub(start.elapsed());
        if left.is_zero() {
            return Ok(None);
        }
        std::thread::sleep(pause.min(left));
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// `--timeout`: whole or broken seconds, up to a day.
pub fn parse_seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "not a number of seconds".to_owned())?;
    if !(0.0..=86_400.0).contains(&seconds) {
        return Err("not between 0 and 86400 seconds".into());
    }
    Ok(Duration::from_secs_f64(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_asked_at_least_once_and_until_it_answers() {
        assert_eq!(until(Duration::ZERO, || Ok(Some(1))).unwrap(), Some(1));
        assert_eq!(until(Duration::ZERO, || Ok(None::<u8>)).unwrap(), None);
        let mut asked = 0;
        let answer = until(Duration::from_secs(60), || {
            asked += 1;
            Ok((asked == 3).then_some(asked))
        });
        assert_eq!(answer.unwrap(), Some(3));
    }

    #[test]
    fn timeouts_are_seconds() {
        assert_eq!(parse_seconds("1.5"), Ok(Duration::from_millis(1500)));
        for bad in ["", "x", "-1", "inf", "NaN", "86401"] {
            assert!(parse_seconds(bad).is_err(), "{bad}");
        }
    }
}
