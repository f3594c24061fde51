//! A request that is sent again by the rules that bulk has for its rows, for callers with one request: only where they
//! ask for it. What has begun to be read is never sent again.

use std::time::SystemTime;

use gannet_core::retry::{Outcome, RetryPolicy, Rng, parse_retry_after};

use crate::error::{Error, Result};
use crate::request::Request;
use crate::response::Response;
use crate::session::Session;
use crate::trace::{Event, OwnTrace};

impl Session {
    /// As [`Session::execute`], and tries again by this policy until a response's head has come that is not worth
    /// another attempt, or the attempts are used up; then what came last is handed on. Retry-After is never undercut.
    /// A body that can be sent once only is sent once. Dropping the future ends it, waits included.
    ///
    /// # Errors
    /// As [`Session::execute`]; [`Error::attempts`] says how many there were.
    pub async fn execute_retrying(&self, request: Request, policy: &RetryPolicy) -> Result<Response> {
        let raises = request.raises(&self.inner.options);
        let response = self.retry(request, policy).await?;
        let attempts = response.1;
        match response.0.error_for_status_ref().filter(|_| raises) {
            Some(error) => Err(error.with_attempts(attempts)),
            None => Ok(response.0),
        }
    }

    /// The last response, and which attempt brought it.
    async fn retry(&self, request: Request, policy: &RetryPolicy) -> Result<(Response, u32)> {
        let mut rng = Rng::new(fastrand::u64(..));
        let mut attempt = 1;
        loop {
            let again = if attempt < policy.attempts { request.try_clone() } else { None };
            let Some(again) = again else {
                let result = Box::pin(self.answer(request)).await;
                return result.map(|last| (last, attempt)).map_err(|error| error.with_attempts(attempt));
            };
            let result = Box::pin(self.answer(again)).await;
            let outcome = outcome_of(&result, request.is_repeatable());
            let Some(wait) = policy.decide(&outcome, attempt, &mut rng) else {
                return result.map(|last| (last, attempt)).map_err(|error| error.with_attempts(attempt));
            };
            let status = result.as_ref().ok().map(Response::status);
            let error = result.as_ref().err();
            OwnTrace::tell_of(&request, &Event::Backoff { attempt, status, error, wait });
            // The connection is not held during the wait.
            drop(result);
            tokio::time::sleep(wait).await;
            attempt += 1;
        }
    }
}

/// What an attempt came to, in the terms of the rules of retrying.
fn outcome_of(result: &Result<Response, Error>, repeatable: bool) -> Outcome {
    match result {
        Ok(response) => outcome_of_head(response).repeatable(repeatable),
        Err(error) => outcome_of_error(error, repeatable),
    }
}

/// What a failure is worth in those terms. A request that the server did not look at may be sent again, whatever it is.
pub(crate) fn outcome_of_error(error: &Error, repeatable: bool) -> Outcome {
    Outcome {
        proxy_status: error.proxy_status().map(|status| status.as_u16()),
        throttled: error.is_throttled(),
        repeatable: repeatable || error.is_unprocessed(),
        ..Outcome::failure(error.kind())
    }
}

/// What a response's head is worth in those terms.
pub(crate) fn outcome_of_head(response: &Response) -> Outcome {
    let after = response.headers().get_bytes("retry-after");
    let after = after.and_then(|value| parse_retry_after(value, SystemTime::now()));
    Outcome::response(response.status().as_u16()).retry_after(after)
}
