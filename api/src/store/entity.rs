//! The tables. Times are milliseconds since the Unix epoch; hashes are 32-byte blobs; no floats, no decimals.

/// `api_keys`: who may call.
pub mod api_key {
    use sea_orm::entity::prelude::*;

    /// One key; the secret itself is never stored.
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "api_keys")]
    pub struct Model {
        /// `key_…`.
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: String,
        /// Tenant it belongs to.
        pub tenant: String,
        /// Party of the tenant that it acts for; none for the tenant itself.
        pub party: Option<String>,
        /// Display name.
        pub name: String,
        /// First characters of the secret.
        pub prefix: String,
        /// SHA-256 of the secret.
        pub hash: Vec<u8>,
        /// Creation.
        pub created_at: i64,
        /// End of validity.
        pub expires_at: Option<i64>,
        /// When it was revoked.
        pub revoked_at: Option<i64>,
    }

    /// None.
    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// `signing_keys`: sealed private keys.
pub mod signing_key {
    use sea_orm::entity::prelude::*;

    /// One key version.
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "signing_keys")]
    pub struct Model {
        /// Tenant.
        #[sea_orm(primary_key, auto_increment = false)]
        pub tenant: String,
        /// What it signs.
        #[sea_orm(primary_key, auto_increment = false)]
        pub purpose: String,
        /// From 1.
        #[sea_orm(primary_key, auto_increment = false)]
        pub version: i64,
        /// Provider that can open it.
        pub provider: String,
        /// `ed25519:…`, the public key.
        pub public: String,
        /// 24 bytes.
        pub nonce: Vec<u8>,
        /// Seed under the master key, with tag.
        pub sealed: Vec<u8>,
        /// Creation.
        pub created_at: i64,
    }

    /// None.
    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// `parties`: on whose behalf a tenant signs, beside itself.
pub mod party {
    use sea_orm::entity::prelude::*;

    /// One party.
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "parties")]
    pub struct Model {
        /// Tenant.
        #[sea_orm(primary_key, auto_increment = false)]
        pub tenant: String,
        /// Name, a DNS label.
        #[sea_orm(primary_key, auto_increment = false)]
        pub name: String,
        /// `ed25519:…`, the public key that signs for it.
        pub signer: String,
        /// Creation.
        pub created_at: i64,
    }

    /// None.
    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// `tenant_identities`: whom the name of a tenant stands for.
pub mod tenant_identity {
    use sea_orm::entity::prelude::*;

    /// One name.
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "tenant_identities")]
    pub struct Model {
        /// Tenant.
        #[sea_orm(primary_key, auto_increment = false)]
        pub tenant: String,
        /// UID of its resource; empty while there is none.
        pub identity: String,
        /// When another one had the name before, the end of its API keys; 0 if none had.
        pub since: i64,
    }

    /// None.
    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// `outbox`: transactions that were accepted and aren't final yet.
pub mod outbox {
    use sea_orm::entity::prelude::*;

    /// One transaction.
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "outbox")]
    pub struct Model {
        /// Order of acceptance.
        #[sea_orm(primary_key, auto_increment = false)]
        pub seq: i64,
        /// Network id.
        pub network: Vec<u8>,
        /// Transaction id.
        pub tx: Vec<u8>,
        /// Borsh bytes of the transaction.
        pub body: Vec<u8>,
        /// Whether the server holds the key and may sign again after an expiry.
        pub ours: bool,
        /// Acceptance.
        pub created_at: i64,
    }

    /// None.
    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// `operations`: what the ledger can't tell of an operation; most operations have no row.
pub mod operation {
    use sea_orm::entity::prelude::*;

    /// The exception of one transaction.
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "operations")]
    pub struct Model {
        /// Network id.
        #[sea_orm(primary_key, auto_increment = false)]
        pub network: Vec<u8>,
        /// Transaction id.
        #[sea_orm(primary_key, auto_increment = false)]
        pub tx: Vec<u8>,
        /// JSON of the items that were refused before signing.
        pub rejected: Option<String>,
        /// JSON of the refusal, when the transaction never will be in a block.
        pub failed: Option<String>,
        /// The transaction that took this one's place after an expiry.
        pub replaced_by: Option<Vec<u8>>,
        /// Creation.
        pub created_at: i64,
    }

    /// None.
    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// `idempotency_keys`: keys that callers gave.
pub mod idempotency {
    use sea_orm::entity::prelude::*;

    /// One use.
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "idempotency_keys")]
    pub struct Model {
        /// Tenant.
        #[sea_orm(primary_key, auto_increment = false)]
        pub tenant: String,
        /// Party of the tenant that the key's sender acts for; empty for the tenant itself.
        #[sea_orm(primary_key, auto_increment = false)]
        pub party: String,
        /// Network id.
        #[sea_orm(primary_key, auto_increment = false)]
        pub network: Vec<u8>,
        /// The caller's key.
        #[sea_orm(primary_key, auto_increment = false)]
        pub key: String,
        /// SHA-256 of path, query and body.
        pub body: Vec<u8>,
        /// Operation id that was made.
        pub operation: String,
        /// Creation.
        pub created_at: i64,
    }

    /// None.
    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// `followed`: how far a network's blocks are projected.
pub mod followed {
    use sea_orm::entity::prelude::*;

    /// One network.
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "followed")]
    pub struct Model {
        /// Small number used in the projections.
        #[sea_orm(primary_key)]
        pub id: i64,
        /// Network id.
        #[sea_orm(unique)]
        pub network: Vec<u8>,
        /// Everything up to here is projected.
        pub height: i64,
        /// Log size after that height.
        pub size: i64,
        /// Hashes of the Merkle frontier, 32 bytes each.
        pub frontier: Vec<u8>,
        /// Time of the block at that height, milliseconds; 0 before the first block, and where it isn't known yet.
        pub time: i64,
    }

    /// None.
    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// `digests`: which records hold a digest.
pub mod digest {
    use sea_orm::entity::prelude::*;

    /// One digest of one record.
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "digests")]
    pub struct Model {
        /// `followed.id`.
        #[sea_orm(primary_key, auto_increment = false)]
        pub network: i64,
        /// Digest bytes.
        #[sea_orm(primary_key, auto_increment = false)]
        pub digest: Vec<u8>,
        /// Record id.
        #[sea_orm(primary_key, auto_increment = false)]
        pub record: Vec<u8>,
    }

    /// None.
    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// `documents`: what is kept of invoices beside the ledger, encrypted.
pub mod document {
    use sea_orm::entity::prelude::*;

    /// The documents of one invoice.
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "documents")]
    pub struct Model {
        /// Network id.
        #[sea_orm(primary_key, auto_increment = false)]
        pub network: Vec<u8>,
        /// Key of the issuer. What somebody else's record claims to have as its content is not found under it.
        #[sea_orm(primary_key, auto_increment = false)]
        pub issuer: String,
        /// SHA-256 of the original, as the ledger has it.
        #[sea_orm(primary_key, auto_increment = false)]
        pub content: Vec<u8>,
        /// Digest of what else the ledger says of it (`invoice::kept::variant`); empty in rows from before there were any.
        #[sea_orm(primary_key, auto_increment = false)]
        pub variant: Vec<u8>,
        /// The document's own key, wrapped; all zero once it is erased.
        pub key: Vec<u8>,
        /// Ciphertext; empty once it is erased.
        pub body: Vec<u8>,
        /// When it was erased.
        pub erased_at: Option<i64>,
        /// Creation.
        pub created_at: i64,
    }

    /// None.
    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// `documents_waiting`: documents whose invoice isn't known to be on the ledger.
pub mod waiting {
    use sea_orm::entity::prelude::*;

    /// One document, named as in `documents`.
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "documents_waiting")]
    pub struct Model {
        /// Network id.
        #[sea_orm(primary_key, auto_increment = false)]
        pub network: Vec<u8>,
        /// Key of the issuer.
        #[sea_orm(primary_key, auto_increment = false)]
        pub issuer: String,
        /// SHA-256 of the original.
        #[sea_orm(primary_key, auto_increment = false)]
        pub content: Vec<u8>,
        /// Digest of what else the ledger says of it.
        #[sea_orm(primary_key, auto_increment = false)]
        pub variant: Vec<u8>,
        /// When it was last sent.
        pub created_at: i64,
    }

    /// None.
    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// `invoices`: projection of the records of invoices. Amounts are hundredths.
pub mod invoice {
    use sea_orm::entity::prelude::*;

    /// One record.
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "invoices")]
    pub struct Model {
        /// `followed.id`.
        #[sea_orm(primary_key, auto_increment = false)]
        pub network: i64,
        /// Record id.
        #[sea_orm(primary_key, auto_increment = false)]
        pub record: Vec<u8>,
        /// Key of the issuer.
        pub issuer: String,
        /// Seller's tax id.
        pub supplier: String,
        /// Key of the recipient.
        pub recipient: String,
        /// Buyer's tax id, or a commitment.
        pub buyer: Option<String>,
        /// Key of who is to be paid.
        pub payee: String,
        /// Series.
        pub series: String,
        /// Number.
        pub number: String,
        /// Type code.
        pub kind: String,
        /// `YYYY-MM-DD`.
        pub issue_date: String,
        /// `YYYY-MM-DD`.
        pub due_date: Option<String>,
        /// Currency.
        pub currency: String,
        /// Total with VAT.
        pub gross: i64,
        /// Still owed.
        pub open: i64,
        /// The invoice that a credit note is of.
        pub credits: Option<Vec<u8>>,
        /// SHA-256 of the original.
        pub content: Vec<u8>,
        /// Keys of all that the record names beside its issuer, each with a space before and after it.
        pub named: String,
        /// Log index of the step that made it: its place in the order of the ledger.
        pub leaf: i64,
        /// Record version.
        pub version: i64,
        /// Region `document`.
        pub document: String,
        /// Region `approval`.
        pub approval: String,
        /// Region `settlement`.
        pub settlement: String,
        /// Region `encumbrance`.
        pub encumbrance: String,
        /// Region `reimbursement`.
        pub reimbursement: String,
        /// Region `authority`.
        pub authority: String,
    }

    /// None.
    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// `descriptions`: tenants and networks as they are wanted, where no Kubernetes keeps them.
pub mod description {
    use sea_orm::entity::prelude::*;

    /// One tenant, or one network.
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "descriptions")]
    pub struct Model {
        /// Tenant.
        #[sea_orm(primary_key, auto_increment = false)]
        pub tenant: String,
        /// Network; empty for the tenant itself.
        #[sea_orm(primary_key, auto_increment = false)]
        pub network: String,
        /// Counts changes of `spec`.
        pub generation: i64,
        /// When its deletion began, in milliseconds; 0 when nobody deletes it.
        pub deleted_at: i64,
        /// What is wanted, as JSON.
        pub spec: String,
    }

    /// None.
    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}
