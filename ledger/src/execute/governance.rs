//! Governance: how a network decides about itself, by statements on its own ledger.
//!
//! Owns the reserved template [`TEMPLATE`]: who may propose, how approvals are counted, and when a change takes
//! effect. What each change means is in `change` and the files beside it. Pure, as the rest of the executor.
//!
//! A statement that asks for a change makes a *proposal*, a record like any other, and is its signer's approval at the
//! same time. As soon as as many present members have approved as the network's threshold wants, the change takes
//! effect, in the same action; with a threshold of one that is at once. Until then a proposal can be approved by other
//! members and withdrawn by its proposer, and it ends when its time is over; then any member may clear it away.
//!
//! An approval counts only as long as its signer has been a member all the time since: an approval of someone who was
//! removed doesn't, not even when the same key comes back.
//!
//! | code | meaning |
//! |---|---|
//! | `ALREADY_A_MEMBER`, `NO_SUCH_MEMBER` | the key belongs to a member already, or to none |
//! | `LAST_MEMBER`, `THRESHOLD_OUT_OF_RANGE`, `TOO_MANY_MEMBERS` | the network could not decide afterwards, or is full |
//! | `INVALID_TEMPLATE`, `WRONG_REVISION` | the source doesn't compile or is of another template; it isn't the next revision |
//! | `NO_SUCH_VALIDATOR`, `ALREADY_USED` | no such validator; a name or key that is or was in use |
//! | `TOO_FEW_VALIDATORS`, `TOO_MANY_VALIDATORS`, `VALIDATORS_CHANGING` | below 4, above 32, or another change in this block |
//! | `ALREADY_APPROVED` | this member has approved the proposal, and it still lacks approvals |
//! | `PROPOSAL_EXPIRED` | the proposal's time is over; propose it again |
//! | `WRONG_STATE` | the proposal was enacted or withdrawn |

mod change;
mod input;
mod members;
mod proposal;
mod templates;
mod validators;

use muniment_receipts::encoding::base64url;
use muniment_receipts::statement::Common;
use serde_json::Value;

use self::change::{Change, Moment, Write};
use self::input::Input;
use self::proposal::{Approval, ENACTED, OPEN, Proposal, WITHDRAWN};
use super::ExecuteError;
use super::action::Done;
use super::overlay::Overlay;
use super::reject::Reject;
use crate::block::{Hash, Header};
use crate::state::{GOVERNANCE_KEY, Governance, Record, StateError, attachment_key, record_id, record_key};

pub(super) use self::templates::admit;

/// The reserved template. No template of a file can have this name: theirs are DNS labels.
pub const TEMPLATE: &str = "muniment.dev/governance";
/// The revision that this version executes.
pub const REVISION: u32 = 1;
/// Region of a proposal; its states are `open`, `enacted` and `withdrawn`.
pub const REGION: &str = "proposal";
/// Adds a member's approval to a proposal.
pub const APPROVE: &str = "approve";
/// Takes a proposal back.
const WITHDRAW: &str = "withdraw";
/// How long a proposal stays open unless it says otherwise, and at most, in milliseconds of block time.
const LIFE: u64 = 7 * 24 * 3_600_000;
const MAX_LIFE: u64 = 30 * 24 * 3_600_000;

type Judged<T> = Result<Result<T, Reject>, ExecuteError>;

/// Leaves the function with a rejection.
macro_rules! accept {
    ($judged:expr) => {
        match $judged {
            Ok(value) => value,
            Err(reject) => return Ok(Err(reject)),
        }
    };
}
use accept;

/// What must hold for a governance transaction as a whole: a member signed it, and there is such an action.
pub(super) fn judge(overlay: &mut Overlay<'_>, common: &Common, signer: &str) -> Judged<()> {
    accept!(overlay.member(signer)?);
    if common.revision != REVISION {
        let message = format!("`{TEMPLATE}` has no revision {}; it is {REVISION}", common.revision);
        return Ok(Err(Reject::new("WRONG_REVISION", message, "/revision")));
    }
    if ![APPROVE, WITHDRAW].contains(&common.action.as_str()) && !change::ACTIONS.contains(&common.action.as_str()) {
        let known = change::ACTIONS.join(", ");
        let message = format!(
            "governance has no action `{}`; it has: {APPROVE}, {WITHDRAW}, {known}",
            common.action
        );
        return Ok(Err(Reject::new("UNKNOWN_ACTION", message, "/action")));
    }
    Ok(Ok(()))
}

/// How the network decides at this moment.
fn policy(overlay: &Overlay<'_>) -> Result<Governance, StateError> {
    let stored = overlay.get(GOVERNANCE_KEY)?;
    let bytes = stored.ok_or_else(|| StateError("the state has no governance policy".into()))?;
    serde_json::from_slice(&bytes).map_err(|error| StateError(error.into()))
}

/// One governance action.
pub(super) struct Govern<'a> {
    pub common: &'a Common,
    pub signer: &'a str,
    pub header: &'a Header,
    /// Position in its transaction.
    pub index: u32,
    /// Log index of the leaf that it makes if it is accepted.
    pub leaf: u64,
    /// What came beside the statement.
    pub attachment: Option<&'a [u8]>,
}

impl Govern<'_> {
    /// Judges the action. Writes nothing yet.
    pub fn run(&self, overlay: &mut Overlay<'_>, input: &Value, record: Option<&Hash>) -> Judged<Done> {
        // Again for each action: an earlier one of the same transaction may have removed the signer.
        accept!(overlay.member(self.signer)?);
        match (self.common.action.as_str(), record) {
            (APPROVE, Some(id)) => self.approve(overlay, input, id),
            (WITHDRAW, Some(id)) => self.withdraw(overlay, input, id),
            (APPROVE | WITHDRAW, None) => {
                let message = "this action is about a proposal; name its id in `record`";
                Ok(Err(Reject::malformed(message, "/record")))
            }
            (_, None) => self.propose(overlay, input),
            (_, Some(_)) => {
                let message = "this action makes a proposal of its own; leave out `record`";
                Ok(Err(Reject::malformed(message, "/record")))
            }
        }
    }

    fn propose(&self, overlay: &Overlay<'_>, input: &Value) -> Judged<Done> {
        let mut fields = accept!(Input::new(input));
        let expires = accept!(self.expires(&mut fields));
        let wanted = fields.rest();
        let change = accept!(Change::read(&self.common.action, &wanted));
        let policy = policy(overlay)?;
        let effects = accept!(change.effects(&Moment {
            overlay,
            policy: &policy,
            leaf: self.leaf,
            height: self.header.height,
            attachment: self.attachment,
        })?);
        let (signer, nonce) = (Value::from(self.signer), Value::from(base64url(self.common.nonce)));
        let id = record_id(TEMPLATE, None, &[&signer, &nonce, &Value::from(self.index)])?;
        if overlay.contains(&record_key(&id))? {
            let reject = Reject::new(
                "DUPLICATE",
                "this signer has used this nonce for a proposal before",
                "/nonce",
            );
            return Ok(Err(reject.about(id)));
        }
        let proposal = Proposal {
            action: self.common.action.clone(),
            approvals: vec![self.approval()],
            input: wanted,
            expires,
        };
        let enacted = proposal.approvals.len() as u64 >= u64::from(policy.threshold);
        let record = Record {
            created_height: self.header.height,
            created_time: self.header.time,
            creator: self.signer.to_owned(),
            fields: proposal.fields()?,
            id: hex::encode(id),
            regions: [(REGION.to_owned(), if enacted { ENACTED } else { OPEN }.to_owned())].into(),
            revision: REVISION,
            template: TEMPLATE.to_owned(),
            updated_height: self.header.height,
            updated_time: self.header.time,
            version: 1,
        };
        let waits = self.attachment.map(|bytes| (attachment_key(&id), Some(bytes.to_vec())));
        let writes = if enacted { effects } else { waits.into_iter().collect() };
        done(id, &record, writes)
    }

    fn approve(&self, overlay: &Overlay<'_>, input: &Value, id: &Hash) -> Judged<Done> {
        accept!(Input::new(input).and_then(Input::finish));
        let (record, mut proposal) = accept!(self.open(overlay, id)?);
        if self.is_over(&proposal) {
            let message = format!(
                "this proposal ended at {}, the block time is {}; propose it again",
                proposal.expires, self.header.time
            );
            return Ok(Err(Reject::new("PROPOSAL_EXPIRED", message, "/record").about(*id)));
        }
        proposal
            .retain(|approval| Ok(members::entry(overlay, &approval.key)?.is_some_and(|m| m.since <= approval.leaf)))?;
        let again = proposal.approvals.iter().any(|approval| approval.key == self.signer);
        if !again {
            proposal.approvals.push(self.approval());
        }
        let policy = policy(overlay)?;
        let enough = proposal.approvals.len() as u64 >= u64::from(policy.threshold);
        // Approving again does nothing, unless fewer approvals are needed than when it was done first.
        if again && !enough {
            let message = format!(
                "you have approved this; it has {} of {} approvals",
                proposal.approvals.len(),
                policy.threshold
            );
            return Ok(Err(Reject::new("ALREADY_APPROVED", message, "/record").about(*id)));
        }
        let effects = if enough {
            let change = accept!(Change::read(&proposal.action, &proposal.input).map_err(|reject| reject.about(*id)));
            let attachment = overlay.get(&attachment_key(id))?;
            let moment = Moment {
                overlay,
                policy: &policy,
                leaf: self.leaf,
                height: self.header.height,
                attachment: attachment.as_deref(),
            };
            accept!(change.effects(&moment)?.map_err(|reject| reject.about(*id)))
        } else {
            Vec::new()
        };
        let state = if enough { ENACTED } else { OPEN };
        self.next(overlay, *id, record, &proposal, state, effects)
    }

    fn withdraw(&self, overlay: &Overlay<'_>, input: &Value, id: &Hash) -> Judged<Done> {
        accept!(Input::new(input).and_then(Input::finish));
        let (record, proposal) = accept!(self.open(overlay, id)?);
        if record.creator != self.signer && !self.is_over(&proposal) {
            let message = "only the member that proposed this may withdraw it, as long as it can be decided";
            return Ok(Err(Reject::new("NOT_ALLOWED", message, "/signer").about(*id)));
        }
        self.next(overlay, *id, record, &proposal, WITHDRAWN, Vec::new())
    }

    fn is_over(&self, proposal: &Proposal) -> bool {
        self.header.time > proposal.expires
    }

    /// A proposal that was neither enacted nor withdrawn.
    fn open(&self, overlay: &Overlay<'_>, id: &Hash) -> Judged<(Record, Proposal)> {
        let stored = overlay.get(&record_key(id))?;
        let record = stored.map(|bytes| Record::parse(&bytes)).transpose()?;
        let Some(record) = record.filter(|record| record.template == TEMPLATE) else {
            let reject = Reject::new("NO_SUCH_RECORD", "there is no proposal with this id", "/record");
            return Ok(Err(reject.about(*id)));
        };
        let state = record.regions.get(REGION).map_or("", String::as_str);
        if state != OPEN {
            let message = format!("this proposal is {state} already");
            return Ok(Err(Reject::new("WRONG_STATE", message, "/record").about(*id)));
        }
        let proposal = Proposal::read(&record)?;
        Ok(Ok((record, proposal)))
    }

    fn next(
        &self,
        overlay: &Overlay<'_>,
        id: Hash,
        mut record: Record,
        proposal: &Proposal,
        state: &str,
        mut writes: Vec<Write>,
    ) -> Judged<Done> {
        let waiting = attachment_key(&id);
        if state != OPEN && overlay.contains(&waiting)? {
            writes.push((waiting, None));
        }
        let Some(version) = record.version.checked_add(1) else {
            let reject = Reject::new("WRONG_STATE", "this proposal can't be changed any more", "/record");
            return Ok(Err(reject.about(id)));
        };
        record.version = version;
        record.fields = proposal.fields()?;
        record.regions.insert(REGION.to_owned(), state.to_owned());
        record.updated_height = self.header.height;
        record.updated_time = self.header.time;
        done(id, &record, writes)
    }

    fn approval(&self) -> Approval {
        Approval {
            key: self.signer.to_owned(),
            leaf: self.leaf,
        }
    }

    /// `expires` of the input: block time in milliseconds up to which the proposal can be decided.
    fn expires(&self, input: &mut Input) -> Result<u64, Reject> {
        let (now, wanted) = (self.header.time, input.number("expires")?);
        let expires = wanted.unwrap_or(now + LIFE);
        if expires <= now || expires > now + MAX_LIFE {
            let message = "a proposal ends after the block that holds it, and at most 30 days later; \
                           give milliseconds since the Unix epoch, or leave it out for 7 days";
            return Err(Reject::new("INVALID_INPUT", message, "/input/expires"));
        }
        Ok(expires)
    }
}

fn done(id: Hash, record: &Record, mut writes: Vec<Write>) -> Judged<Done> {
    writes.push((record_key(&id), Some(record.canonical()?)));
    Ok(Ok(Done {
        record: id,
        version: record.version,
        also: Vec::new(),
        writes,
    }))
}
