//! Reads. Each takes the tenant or the network it is for; only descriptions, which tell nothing of what was recorded, are
//! read for all.

use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait};
use std::collections::HashSet;

use super::entity::{
    api_key, description, digest, followed, idempotency, operation, outbox, party, signing_key, tenant_identity,
};
use super::{Store, StoreError};
use crate::idempotency::Key;

pub(super) fn failed(what: &'static str) -> impl Fn(sea_orm::DbErr) -> StoreError {
    move |source| StoreError::Query { what, source }
}

impl Store {
    /// The API key with this hash, whatever its state. The one read without a tenant: it finds out who calls.
    pub(crate) async fn api_key_by_hash(&self, hash: &[u8; 32]) -> Result<Option<api_key::Model>, StoreError> {
        api_key::Entity::find()
            .filter(api_key::Column::Hash.eq(hash.as_slice()))
            .one(&self.reader)
            .await
            .map_err(failed("an API key"))
    }

    /// API keys of a tenant that aren't revoked, by id, after `after`.
    pub(crate) async fn api_keys(
        &self,
        tenant: &str,
        after: Option<&str>,
        limit: u64,
    ) -> Result<Vec<api_key::Model>, StoreError> {
        api_key::Entity::find()
            .filter(api_key::Column::Tenant.eq(tenant))
            .filter(api_key::Column::RevokedAt.is_null())
            .apply_if(after, |query, after| query.filter(api_key::Column::Id.gt(after)))
            .order_by_asc(api_key::Column::Id)
            .limit(limit)
            .all(&self.reader)
            .await
            .map_err(failed("API keys"))
    }

    /// Everything that is described.
    pub(crate) async fn descriptions(&self) -> Result<Vec<description::Model>, StoreError> {
        description::Entity::find()
            .all(&self.reader)
            .await
            .map_err(failed("descriptions"))
    }

    /// Whom the name of a tenant stands for, if that is known.
    pub(crate) async fn identity(&self, tenant: &str) -> Result<Option<tenant_identity::Model>, StoreError> {
        tenant_identity::Entity::find_by_id(tenant.to_owned())
            .one(&self.reader)
            .await
            .map_err(failed("whom a tenant's name stands for"))
    }

    /// A tenant's parties by name, after `after`.
    pub(crate) async fn parties(
        &self,
        tenant: &str,
        after: Option<&str>,
        limit: u64,
    ) -> Result<Vec<party::Model>, StoreError> {
        party::Entity::find()
            .filter(party::Column::Tenant.eq(tenant))
            .apply_if(after, |query, after| query.filter(party::Column::Name.gt(after)))
            .order_by_asc(party::Column::Name)
            .limit(limit)
            .all(&self.reader)
            .await
            .map_err(failed("parties"))
    }

    /// A party by its name.
    pub(crate) async fn party(&self, tenant: &str, name: &str) -> Result<Option<party::Model>, StoreError> {
        party::Entity::find_by_id((tenant.to_owned(), name.to_owned()))
            .one(&self.reader)
            .await
            .map_err(failed("a party"))
    }

    /// The party that a key signs for, if it is one of the tenant's.
    pub(crate) async fn party_of(&self, tenant: &str, signer: &str) -> Result<Option<party::Model>, StoreError> {
        party::Entity::find()
            .filter(party::Column::Tenant.eq(tenant))
            .filter(party::Column::Signer.eq(signer))
            .one(&self.reader)
            .await
            .map_err(failed("a party"))
    }

    /// Latest version of a signing key.
    pub(crate) async fn signing_key(
        &self,
        tenant: &str,
        purpose: &str,
    ) -> Result<Option<signing_key::Model>, StoreError> {
        signing_key::Entity::find()
            .filter(signing_key::Column::Tenant.eq(tenant))
            .filter(signing_key::Column::Purpose.eq(purpose))
            .order_by_desc(signing_key::Column::Version)
            .one(&self.reader)
            .await
            .map_err(failed("a signing key"))
    }

    /// Whether anybody has one.
    pub(crate) async fn has_signing_keys(&self) -> Result<bool, StoreError> {
        let one = signing_key::Entity::find().limit(1).one(&self.reader).await;
        one.map(|row| row.is_some()).map_err(failed("the signing keys"))
    }

    /// Accepted and not final, in order of acceptance.
    pub(crate) async fn outbox(&self, network: &[u8; 32]) -> Result<Vec<outbox::Model>, StoreError> {
        outbox::Entity::find()
            .filter(outbox::Column::Network.eq(network.as_slice()))
            .order_by_asc(outbox::Column::Seq)
            .all(&self.reader)
            .await
            .map_err(failed("the outbox"))
    }

    /// Transactions in whose place others stand.
    pub(crate) async fn replaced(&self, network: &[u8; 32]) -> Result<HashSet<Vec<u8>>, StoreError> {
        let replaced = operation::Entity::find()
            .filter(operation::Column::Network.eq(network.as_slice()))
            .filter(operation::Column::ReplacedBy.is_not_null())
            .select_only()
            .column(operation::Column::Tx)
            .into_tuple::<Vec<u8>>()
            .all(&self.reader)
            .await
            .map_err(failed("operations"))?;
        Ok(replaced.into_iter().collect())
    }

    /// Highest sequence number in the outbox.
    pub(crate) async fn last_seq(&self) -> Result<i64, StoreError> {
        let last = outbox::Entity::find()
            .order_by_desc(outbox::Column::Seq)
            .select_only()
            .column(outbox::Column::Seq)
            .into_tuple::<i64>()
            .one(&self.reader)
            .await
            .map_err(failed("the outbox"))?;
        Ok(last.unwrap_or(0))
    }

    /// The exception of an operation, if it has one.
    pub(crate) async fn operation(
        &self,
        network: &[u8; 32],
        tx: &[u8; 32],
    ) -> Result<Option<operation::Model>, StoreError> {
        operation::Entity::find_by_id((network.to_vec(), tx.to_vec()))
            .one(&self.reader)
            .await
            .map_err(failed("an operation"))
    }

    /// An earlier use of an idempotency key.
    pub(crate) async fn idempotency(&self, tenant: &str, key: &Key) -> Result<Option<idempotency::Model>, StoreError> {
        let id = (
            tenant.to_owned(),
            key.party.clone(),
            key.network.to_vec(),
            key.key.clone(),
        );
        idempotency::Entity::find_by_id(id)
            .one(&self.reader)
            .await
            .map_err(failed("an idempotency key"))
    }

    /// How far a network is projected.
    pub(crate) async fn followed(&self, network: &[u8; 32]) -> Result<Option<followed::Model>, StoreError> {
        followed::Entity::find()
            .filter(followed::Column::Network.eq(network.as_slice()))
            .one(&self.reader)
            .await
            .map_err(failed("the projection's height"))
    }

    /// Records that hold a digest, ascending by id, after `after`.
    pub(crate) async fn records_with(
        &self,
        network: i64,
        value: &[u8],
        after: Option<&[u8; 32]>,
        limit: u64,
    ) -> Result<Vec<Vec<u8>>, StoreError> {
        digest::Entity::find()
            .filter(digest::Column::Network.eq(network))
            .filter(digest::Column::Digest.eq(value))
            .apply_if(after, |query, after| {
                query.filter(digest::Column::Record.gt(after.as_slice()))
            })
            .order_by_asc(digest::Column::Record)
            .limit(limit)
            .select_only()
            .column(digest::Column::Record)
            .into_tuple::<Vec<u8>>()
            .all(&self.reader)
            .await
            .map_err(failed("digests"))
    }
}
