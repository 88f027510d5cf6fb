//! The documents of a batch: judged in a few jobs, and numbered.

use std::collections::BTreeMap;

use futures::future::join_all;
use muniment_invoices::Profile;

use super::{Desk, Place, Ready};
use crate::invoice::input::Terms;
use crate::invoice::judge::{Source, judge};
use crate::numbering::Next;
use crate::problem::ApiError;
use crate::routes::invoices::asked::{self, Asked, BatchItem};

/// Jobs of a batch, and documents of a job, at most: a small document is judged in less time than a job costs to begin.
const TOGETHER: usize = 32;

/// A document of a batch that can be judged.
struct Prepared {
    source: Source,
    profile: Profile,
    asked: Asked,
    terms: Terms,
}

impl Desk<'_> {
    /// Judges all documents of a batch.
    pub async fn judge_all(&self, items: Vec<Result<BatchItem, ApiError>>) -> Vec<Result<Ready, ApiError>> {
        // Most items of a batch ask for the same: names are looked up once.
        let mut known: BTreeMap<Asked, Terms> = BTreeMap::new();
        let together = items.len().div_ceil(TOGETHER).clamp(1, TOGETHER);
        let mut jobs = Vec::with_capacity(items.len().div_ceil(together));
        let mut items = items.into_iter().peekable();
        while items.peek().is_some() {
            let mut some = Vec::with_capacity(together);
            for item in items.by_ref().take(together) {
                some.push(match item {
                    Ok(item) => self.prepare(item, &mut known).await,
                    Err(error) => Err(error),
                });
            }
            // A job is large, and is moved while it is waited for.
            jobs.push(Box::pin(self.judge_some(some)));
        }
        join_all(jobs).await.into_iter().flatten().collect()
    }

    /// Judges a few documents in one job.
    async fn judge_some(&self, some: Vec<Result<Prepared, ApiError>>) -> Vec<Result<Ready, ApiError>> {
        let places = some.len();
        let job = move || {
            let judged = some.into_iter().map(|one| {
                let Prepared {
                    source,
                    profile,
                    asked,
                    terms,
                } = one?;
                judge(source, profile).map(|judged| (judged, asked, terms))
            });
            judged.collect::<Vec<_>>()
        };
        let judged = match self.away(job).await {
            Ok(judged) => judged,
            Err(error) => {
                tracing::error!(?error, "documents can't be judged");
                return (0..places)
                    .map(|_| Err(ApiError::internal("judging has failed")))
                    .collect();
            }
        };
        let mut all = Vec::with_capacity(places);
        for one in judged {
            all.push(match one {
                Ok((judged, asked, terms)) => self.ready(judged, &asked, terms).await,
                Err(error) => Err(error),
            });
        }
        all
    }

    async fn prepare(&self, item: BatchItem, known: &mut BTreeMap<Asked, Terms>) -> Result<Prepared, ApiError> {
        let BatchItem { asked, source } = item;
        let terms = match known.get(&asked) {
            Some(terms) => terms.clone(),
            None => {
                let terms = self.terms(&asked).await?;
                known.insert(asked.clone(), terms.clone());
                terms
            }
        };
        Ok(Prepared {
            source,
            profile: asked.profile()?,
            asked,
            terms,
        })
    }

    /// Numbers the good ones of a batch from a place on.
    ///
    /// # Errors
    /// 500 when the store fails.
    pub async fn number_all(
        &self,
        results: Vec<Result<Ready, ApiError>>,
        place: &Place<'_>,
        first: Next,
    ) -> Result<Vec<Result<Ready, ApiError>>, ApiError> {
        let good = results.iter().filter(|result| result.is_ok()).count();
        let free = place.free(first, good).await?;
        let mut free = free.into_iter().peekable();
        let mut numbered = Vec::with_capacity(results.len());
        for result in results {
            let again = match (result, free.peek()) {
                (Ok(ready), Some(next)) => self.number(ready, place.series(), *next).await,
                (Ok(_), None) => Err(ApiError::internal("fewer numbers than documents")),
                (Err(error), _) => Err(error),
            };
            // What is refused takes no number.
            if again.is_ok() {
                free.next();
            }
            numbered.push(again);
        }
        Ok(numbered)
    }

    async fn number(&self, ready: Ready, series: &str, next: Next) -> Result<Ready, ApiError> {
        let mut invoice = ready.invoice;
        invoice.number.clear();
        let source = asked::with_number(Source::Json(invoice, Vec::new()), &asked::number(series, next.number))?;
        self.judge(source, &ready.asked, ready.terms.at(next.place)).await
    }
}
