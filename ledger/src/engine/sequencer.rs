//! The twin of the real driver: deterministic, in one process, without network, clock or disk of its own.
//!
//! Owns the order in which N applications are asked, and real certificates signed with their consensus keys. It plays
//! no tricks on the applications: for those there is the real engine.

use ed25519_dalek::{Signer as _, SigningKey};

use super::signing::{self, CertificateError, verify_certificate};
use super::{Application, Fatal, Validator, Verdict, proposer_index};
use crate::block::{Certificate, Hash};

/// Rounds tried for one height before giving up.
const MAX_ROUNDS: u32 = 16;

/// The twin can't go on.
#[derive(Debug, thiserror::Error)]
pub enum SequencerError {
    /// An application failed.
    #[error("member {member} failed")]
    Application {
        /// Its index.
        member: usize,
        /// Why.
        #[source]
        source: Fatal,
    },
    /// Applications contradict each other: their code isn't deterministic.
    #[error("member {member} {what} at height {height}")]
    Disagreement {
        /// Its index.
        member: usize,
        /// Height.
        height: u64,
        /// What it did differently.
        what: &'static str,
    },
    /// Proposals were refused in every round.
    #[error("no proposal for height {0} found a quorum")]
    NoDecision(u64),
    /// A served certificate doesn't verify.
    #[error("member {member} keeps a bad certificate for height {height}")]
    Certificate {
        /// Its index.
        member: usize,
        /// Height.
        height: u64,
        /// Why.
        #[source]
        source: CertificateError,
    },
}

struct Member<A> {
    key: SigningKey,
    address: [u8; 20],
    app: A,
    up: bool,
}

/// Drives N applications as one network.
pub struct Sequencer<A> {
    network: Hash,
    members: Vec<Member<A>>,
}

impl<A: Application> Sequencer<A> {
    /// A network of these applications, each with the seed of its consensus key, all up.
    pub fn new(network: Hash, members: Vec<([u8; 32], A)>) -> Self {
        let member = |(seed, app)| {
            let key = SigningKey::from_bytes(&seed);
            Member {
                address: signing::address(&key.verifying_key().to_bytes()),
                key,
                app,
                up: true,
            }
        };
        Self {
            network,
            members: members.into_iter().map(member).collect(),
        }
    }

    /// A member's application.
    pub fn app(&self, member: usize) -> &A {
        &self.members[member].app
    }

    /// A member's application.
    pub fn app_mut(&mut self, member: usize) -> &mut A {
        &mut self.members[member].app
    }

    /// Takes a member down; it neither votes nor learns of blocks.
    pub fn stop(&mut self, member: usize) {
        self.members[member].up = false;
    }

    /// Brings a member up again and lets it catch up.
    pub fn start(&mut self, member: usize) -> Result<(), SequencerError> {
        self.members[member].up = true;
        self.sync(member)
    }

    /// Replaces a member's application, as a restart with the same or lost data does.
    pub fn replace(&mut self, member: usize, app: A) {
        self.members[member].app = app;
    }

    /// Runs heights while a member that is up has work; returns the tip.
    pub fn settle(&mut self) -> Result<u64, SequencerError> {
        while self.members.iter().any(|member| member.up && member.app.has_work()) {
            if self.step()?.is_none() {
                break;
            }
        }
        Ok(self.tip())
    }

    /// Decides one height, empty if no member has work. `None` if too few members are up.
    pub fn step(&mut self) -> Result<Option<u64>, SequencerError> {
        let height = self.tip() + 1;
        for member in 0..self.members.len() {
            if self.members[member].up {
                self.sync(member)?;
            }
        }
        let Some(first) = self.members.iter().position(|member| member.up) else {
            return Ok(None);
        };
        let validators = self.members[first].app.validators(height);
        for round in 0..MAX_ROUNDS {
            let proposer = &validators[proposer_index(height, round, validators.len())];
            let Some(proposer) = self.index(proposer).filter(|index| self.members[*index].up) else {
                continue;
            };
            let (hash, block) = self.members[proposer]
                .app
                .propose(height, round)
                .map_err(|source| failed(proposer, source))?;
            let certificate = self.vote(proposer, (height, round), &validators, hash, &block)?;
            if verify_certificate(&certificate, &validators, &self.network).is_ok() {
                self.decide(&certificate)?;
                return Ok(Some(height));
            }
        }
        let up = |validator: &&Validator| self.index(validator).is_some_and(|index| self.members[index].up);
        let power: u64 = validators.iter().filter(up).map(|validator| validator.power).sum();
        let total: u64 = validators.iter().map(|validator| validator.power).sum();
        if power * 3 > total * 2 {
            Err(SequencerError::NoDecision(height))
        } else {
            Ok(None)
        }
    }

    /// Highest tip of the members that are up.
    pub fn tip(&self) -> u64 {
        self.members
            .iter()
            .filter(|member| member.up)
            .map(|member| member.app.tip())
            .max()
            .unwrap_or_default()
    }

    fn index(&self, validator: &Validator) -> Option<usize> {
        self.members
            .iter()
            .position(|member| member.address == validator.address)
    }

    /// Collects the precommits of all members that find the block good.
    fn vote(
        &mut self,
        proposer: usize,
        (height, round): (u64, u32),
        validators: &[Validator],
        block: Hash,
        bytes: &[u8],
    ) -> Result<Certificate, SequencerError> {
        let mut signatures = Vec::new();
        for (index, member) in self.members.iter_mut().enumerate().filter(|(_, member)| member.up) {
            let good = index == proposer
                || match member
                    .app
                    .check(height, round, false, bytes)
                    .map_err(|source| failed(index, source))?
                {
                    Some((hash, _)) if hash != block => {
                        let what = "reads another hash from the proposed block";
                        return Err(SequencerError::Disagreement {
                            member: index,
                            height,
                            what,
                        });
                    }
                    Some((_, verdict)) => verdict == Verdict::Valid,
                    None => false,
                };
            if good && validators.iter().any(|validator| validator.address == member.address) {
                let bytes = signing::precommit_bytes(&self.network, height, round, &block, &member.address);
                signatures.push((member.address, member.key.sign(&bytes).to_bytes()));
            }
        }
        signatures.sort_unstable();
        Ok(Certificate {
            height,
            round,
            block,
            signatures,
        })
    }

    fn decide(&mut self, certificate: &Certificate) -> Result<(), SequencerError> {
        for (index, member) in self.members.iter_mut().enumerate().filter(|(_, member)| member.up) {
            if !member
                .app
                .decide(certificate.clone())
                .map_err(|source| failed(index, source))?
            {
                let (height, what) = (certificate.height, "doesn't know the decided block");
                return Err(SequencerError::Disagreement {
                    member: index,
                    height,
                    what,
                });
            }
        }
        Ok(())
    }

    /// Feeds a member what it missed, from the first other member that has it.
    fn sync(&mut self, member: usize) -> Result<(), SequencerError> {
        loop {
            let height = self.members[member].app.tip() + 1;
            let has_it = |(index, source): &(usize, &Member<A>)| {
                *index != member && source.up && source.app.tip() >= height && source.app.lowest() <= height
            };
            let Some((index, source)) = self.members.iter().enumerate().find(has_it) else {
                return Ok(());
            };
            let blocks = source
                .app
                .decided(height, height, usize::MAX)
                .map_err(|source| failed(index, source))?;
            let Some((block, certificate)) = blocks.into_iter().next() else {
                return Ok(());
            };
            let target = &mut self.members[member];
            verify_certificate(&certificate, &target.app.validators(height), &self.network).map_err(|source| {
                SequencerError::Certificate {
                    member: index,
                    height,
                    source,
                }
            })?;
            let imported = target
                .app
                .import(height, &block)
                .map_err(|source| failed(member, source))?;
            let good = imported == Some((certificate.block, Verdict::Valid))
                && target
                    .app
                    .decide(certificate)
                    .map_err(|source| failed(member, source))?;
            if !good {
                let what = "refuses a decided block";
                return Err(SequencerError::Disagreement { member, height, what });
            }
        }
    }
}

fn failed(member: usize, source: Fatal) -> SequencerError {
    SequencerError::Application { member, source }
}
