//! Many nodes are asked the same, and the first that knows ends it.

use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::time::{Instant, timeout, timeout_at};

use crate::turns::Turns;

/// How many nodes are asked at once.
const AT_ONCE: usize = 8;

/// How long a node has to answer: a live one may look long for who logs in, when nothing else answers
/// it either. One that is dead has no longer than the connection's own limit.
pub(super) const LIMIT: Duration = Duration::from_secs(15);

/// How long the others that are being asked have once one has answered: two may know.
const AGREEMENT: Duration = Duration::from_millis(500);

/// What came of it.
#[derive(Debug)]
pub(super) struct Answers<N, T, E> {
    /// Who knows, and what; the first first.
    pub(super) found: Vec<(N, T)>,
    /// Who does not.
    pub(super) without: Vec<N>,
    /// Who did not answer, and why.
    pub(super) silent: Vec<(N, Option<E>)>,
}

/// Asks all of them, until `deadline` if there is one. Whoever has not answered when this ends is left alone.
pub(super) async fn race<N, T, E, F>(
    nodes: Vec<N>,
    deadline: Option<Instant>,
    ask: impl Fn(N) -> F,
) -> Answers<N, T, E>
where
    N: Clone,
    F: Future<Output = Result<Option<T>, E>>,
{
    let turns = Turns::new(AT_ONCE);
    let turns = &turns;
    let mut asked: FuturesUnordered<_> = nodes
        .into_iter()
        .map(|node| {
            let answer = ask(node.clone());
            async move { (node, turns.take(timeout(LIMIT, answer)).await) }
        })
        .collect();
    let mut answers = Answers {
        found: Vec::new(),
        without: Vec::new(),
        silent: Vec::new(),
    };
    let mut until = deadline;
    loop {
        let next = match until {
            None => asked.next().await,
            Some(until) => timeout_at(until, asked.next()).await.ok().flatten(),
        };
        match next {
            None => return answers,
            // Its turn did not come.
            Some((_, None)) => {}
            Some((node, Some(Ok(Ok(Some(answer)))))) => {
                if answers.found.is_empty() {
                    turns.close();
                    let agreed = Instant::now() + AGREEMENT;
                    until = Some(until.map_or(agreed, |until| until.min(agreed)));
                }
                answers.found.push((node, answer));
            }
            Some((node, Some(Ok(Ok(None))))) => answers.without.push(node),
            Some((node, Some(Ok(Err(error))))) => answers.silent.push((node, Some(error))),
            Some((node, Some(Err(_)))) => answers.silent.push((node, None)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    use tokio::time::sleep;

    use crate::turns::TURN;

    /// Nodes that answer after so many milliseconds.
    async fn played(
        nodes: Vec<(u64, Result<Option<u8>, &'static str>)>,
    ) -> (Answers<usize, u8, &'static str>, Duration, usize) {
        let begun = Instant::now();
        let now = Cell::new(0);
        let most = Cell::new(0);
        let answers = race((0..nodes.len()).collect(), None, |number| {
            let (delay, answer) = nodes[number];
            let (now, most) = (&now, &most);
            async move {
                now.set(now.get() + 1);
                most.set(most.get().max(now.get()));
                sleep(Duration::from_millis(delay)).await;
                now.set(now.get() - 1);
                answer
            }
        });
        let answers = answers.await;
        (answers, begun.elapsed(), most.get())
    }

    const DEAD: (u64, Result<Option<u8>, &str>) = (60_000, Ok(None));

    #[tokio::test(start_paused = true)]
    async fn no_more_than_eight_at_once() {
        let (answers, took, most) = played(vec![(100, Ok(None)); 32]).await;
        assert_eq!((answers.without.len(), most), (32, AT_ONCE));
        assert_eq!(took, Duration::from_millis(400));
    }

    #[tokio::test(start_paused = true)]
    async fn the_dead_cost_the_limit_once() {
        let mut nodes = vec![DEAD; 10];
        nodes.extend(vec![(100, Ok(None)); 40]);
        let (answers, took, _) = played(nodes.clone()).await;
        assert_eq!((answers.without.len(), answers.silent.len()), (40, 10));
        assert!(took <= LIMIT + 2 * TURN, "{took:?}");
        // And nothing but their turns if another knows.
        nodes[49] = (100, Ok(Some(1)));
        let (answers, took, _) = played(nodes).await;
        assert_eq!(answers.found, [(49, 1)]);
        assert!(took < Duration::from_secs(3), "{took:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_wins_but_is_not_the_only_one_to_be_heard() {
        let mut nodes = vec![(200, Ok(Some(1))), (300, Ok(Some(2))), (900, Ok(Some(3)))];
        nodes.extend(vec![DEAD; 20]);
        let (answers, took, most) = played(nodes).await;
        assert_eq!(answers.found, [(0, 1), (1, 2)]);
        assert_eq!(took, Duration::from_millis(200) + AGREEMENT);
        // Nobody is asked any more once somebody knows.
        assert_eq!(most, AT_ONCE);
    }

    /// Whoever has no more time hears of those who have answered by then.
    #[tokio::test(start_paused = true)]
    async fn what_is_known_at_the_deadline_is_told() {
        let begun = Instant::now();
        let deadline = begun + Duration::from_secs(2);
        let answers = race(vec![1800, 60_000], Some(deadline), |delay| async move {
            sleep(Duration::from_millis(delay)).await;
            Ok::<_, ()>(Some(delay))
        });
        assert_eq!(answers.await.found, [(1800, 1800)]);
        assert_eq!(begun.elapsed(), Duration::from_secs(2));
    }

    #[tokio::test(start_paused = true)]
    async fn reasons_are_kept() {
        let (answers, _, _) = played(vec![(1, Err("refused")), (1, Ok(None))]).await;
        assert_eq!(answers.silent, [(0, Some("refused"))]);
        assert_eq!(answers.without, [1]);
        let (answers, took, _) = played(Vec::new()).await;
        assert!(answers.found.is_empty() && took.is_zero());
    }
}
