//! Names of elements and attributes as small numbers, so that rules compare integers.
//!
//! Names that code uses are constants (`cbc::ID`); names that only the tables of the syntax bindings use are added
//! when the first document is read. Every other name of a namespace is that namespace's unknown name.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::LazyLock;

/// A name: namespace and local part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Name(u16);

/// The namespaces that invoices use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Namespace {
    /// None of the known ones.
    Other,
    /// Attributes without a namespace.
    Attribute,
    /// UBL common basic components.
    Basic,
    /// UBL common aggregate components.
    Aggregate,
    /// UBL extensions.
    Extension,
    /// UBL Invoice.
    Invoice,
    /// UBL CreditNote.
    CreditNote,
    /// The CII message.
    Message,
    /// CII business information entities.
    Entity,
    /// CII unqualified data types.
    Data,
    /// CII qualified data types.
    Qualified,
}

use Namespace::{Aggregate, Basic, Data, Entity, Extension, Message, Other, Qualified};

const NAMESPACES: [(Namespace, &str, &str); 11] = [
    (Other, "", ""),
    (Namespace::Attribute, "@", ""),
    (
        Basic,
        "cbc",
        "urn:oasis:names:specification:ubl:schema:xsd:CommonBasicComponents-2",
    ),
    (
        Aggregate,
        "cac",
        "urn:oasis:names:specification:ubl:schema:xsd:CommonAggregateComponents-2",
    ),
    (
        Extension,
        "ext",
        "urn:oasis:names:specification:ubl:schema:xsd:CommonExtensionComponents-2",
    ),
    (
        Namespace::Invoice,
        "",
        "urn:oasis:names:specification:ubl:schema:xsd:Invoice-2",
    ),
    (
        Namespace::CreditNote,
        "",
        "urn:oasis:names:specification:ubl:schema:xsd:CreditNote-2",
    ),
    (
        Message,
        "rsm",
        "urn:un:unece:uncefact:data:standard:CrossIndustryInvoice:100",
    ),
    (
        Entity,
        "ram",
        "urn:un:unece:uncefact:data:standard:ReusableAggregateBusinessInformationEntity:100",
    ),
    (
        Data,
        "udt",
        "urn:un:unece:uncefact:data:standard:UnqualifiedDataType:100",
    ),
    (
        Qualified,
        "qdt",
        "urn:un:unece:uncefact:data:standard:QualifiedDataType:100",
    ),
];

/// The first name that is not a namespace's unknown name.
const FIRST: u16 = NAMESPACES.len() as u16;

impl Namespace {
    /// By its address.
    pub(super) fn of(address: &str) -> Self {
        let known = NAMESPACES[2..].iter().find(|(_, _, known)| *known == address);
        known.map_or(Other, |(namespace, _, _)| *namespace)
    }

    /// By the prefix that the tables use.
    pub(crate) fn of_prefix(prefix: &str) -> Self {
        let known = NAMESPACES
            .iter()
            .find(|(_, known, _)| !known.is_empty() && *known == prefix);
        known.map_or(Other, |(namespace, _, _)| *namespace)
    }

    /// The prefix that the standard's documents use; empty for the root of UBL.
    #[must_use]
    pub fn prefix(self) -> &'static str {
        NAMESPACES[self as usize].1
    }

    /// Its address.
    #[must_use]
    pub fn address(self) -> &'static str {
        NAMESPACES[self as usize].2
    }
}

impl Name {
    /// The number of a name; the namespace's unknown name if nothing here uses it.
    pub(crate) fn of(namespace: Namespace, local: &str) -> Self {
        INTERNER.maps[namespace as usize]
            .get(local)
            .copied()
            .unwrap_or(Self(namespace as u16))
    }

    /// How many names there are.
    pub(super) fn count() -> usize {
        INTERNER.names.len()
    }

    /// All names, in the order of their numbers.
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        (0..Self::count() as u16).map(Self)
    }

    pub(crate) fn index(self) -> usize {
        self.0 as usize
    }

    /// Its namespace.
    #[must_use]
    pub fn namespace(self) -> Namespace {
        INTERNER.names[self.index()].0
    }

    /// Its local part; empty for unknown names.
    #[must_use]
    pub fn local(self) -> &'static str {
        INTERNER.names[self.index()].1
    }
}

/// Start, end and length, multiplied and rotated: what is kept comes from fixed sets, so nothing stronger is needed.
#[derive(Default)]
pub(crate) struct NameHasher(u64);

/// Hashes names and codes.
pub(crate) type Hashing = BuildHasherDefault<NameHasher>;

impl Hasher for NameHasher {
    fn write(&mut self, bytes: &[u8]) {
        let (head, tail) = match (bytes.first_chunk::<8>(), bytes.last_chunk::<8>()) {
            (Some(head), Some(tail)) => (u64::from_le_bytes(*head), u64::from_le_bytes(*tail)),
            _ => (
                bytes.iter().fold(0, |word, byte| word << 8 | u64::from(*byte)),
                bytes.len() as u64,
            ),
        };
        for word in [head, tail, bytes.len() as u64] {
            self.0 = (self.0.rotate_left(5) ^ word).wrapping_mul(0x517c_c1b7_2722_0a95);
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

struct Interner {
    names: Vec<(Namespace, &'static str)>,
    maps: Vec<HashMap<&'static str, Name, Hashing>>,
}

/// The tables whose names are known besides the constants.
const TABLES: [&str; 2] = [
    include_str!("../../data/syntax-ubl.txt"),
    include_str!("../../data/syntax-cii.txt"),
];

static INTERNER: LazyLock<Interner> = LazyLock::new(|| {
    let mut interner = Interner {
        names: Vec::new(),
        maps: Vec::new(),
    };
    for (namespace, _, _) in NAMESPACES {
        interner.names.push((namespace, ""));
        interner.maps.push(HashMap::default());
    }
    for (namespace, locals) in CONSTANTS {
        for local in *locals {
            interner.add(*namespace, local);
        }
    }
    for (prefix, local) in TABLES.iter().flat_map(|table| words(table)) {
        let namespace = Namespace::of_prefix(prefix);
        if namespace != Other && !interner.maps[namespace as usize].contains_key(local) {
            interner.add(namespace, local);
        }
    }
    interner
});

impl Interner {
    fn add(&mut self, namespace: Namespace, local: &'static str) {
        let name = Name(self.names.len() as u16);
        self.names.push((namespace, local));
        self.maps[namespace as usize].insert(local, name);
    }
}

/// `prefix:Local` and `@local` in a table.
fn words(table: &'static str) -> impl Iterator<Item = (&'static str, &'static str)> {
    let rows = table.lines().filter(|line| !line.starts_with('#'));
    let steps = rows.flat_map(|line| line.split([' ', '/', '|', '(', ')', '[', ']']));
    steps.filter_map(|step| match step.strip_prefix('@') {
        Some(attribute) => Some(("@", attribute)),
        None => step.split_once(':'),
    })
}

macro_rules! names {
    ($module:ident $namespace:ident $base:expr; $($name:ident)*) => {
        /// Names of one namespace.
        #[allow(non_upper_case_globals, clippy::upper_case_acronyms, missing_docs, dead_code)]
        pub mod $module {
            use super::{Name as Number, Namespace};
            #[allow(non_camel_case_types, clippy::enum_variant_names)]
            enum Index { $($name,)* End__ }
            pub(super) const BASE: u16 = $base;
            pub(super) const END: u16 = BASE + Index::End__ as u16;
            pub(super) const ALL: (Namespace, &[&str]) = (Namespace::$namespace, &[$(stringify!($name)),*]);
            $(pub const $name: Number = Number(BASE + Index::$name as u16);)*
        }
    };
}

// The order is the order of the numbers.
const CONSTANTS: &[(Namespace, &[&str])] = &[
    at::ALL,
    cbc::ALL,
    cac::ALL,
    ext::ALL,
    inv::ALL,
    cn::ALL,
    rsm::ALL,
    ram::ALL,
    udt::ALL,
];

// BEGIN NAMES
names! { at Attribute super::FIRST;
    currencyID filename format listID listVersionID mimeCode name schemeID unitCode
}
names! { cbc Basic super::at::END;
    AccountingCost ActualDeliveryDate AdditionalStreetName AllowanceChargeReason AllowanceChargeReasonCode
    AllowanceTotalAmount Amount BaseAmount BaseQuantity BuyerReference ChargeIndicator ChargeTotalAmount CityName
    CompanyID CompanyLegalForm CountrySubentity CreditNoteTypeCode CreditedQuantity CustomizationID Description
    DescriptionCode DocumentCurrencyCode DocumentDescription DocumentTypeCode DueDate ElectronicMail
    EmbeddedDocumentBinaryObject EndDate EndpointID HolderName ID IdentificationCode InstructionID InvoiceTypeCode
    InvoicedQuantity IssueDate ItemClassificationCode Line LineExtensionAmount LineID MultiplierFactorNumeric Name
    NetworkID Note PaidAmount PayableAmount PayableRoundingAmount PaymentDueDate PaymentID PaymentMeansCode Percent
    PostalZone PrepaidAmount PriceAmount PrimaryAccountNumberID ProfileID RegistrationName SalesOrderID StartDate
    StreetName TaxAmount TaxCurrencyCode TaxExclusiveAmount TaxExemptionReason TaxExemptionReasonCode
    TaxInclusiveAmount TaxPointDate TaxableAmount Telephone UBLVersionID URI Value
}
names! { cac Aggregate super::cbc::END;
    AccountingCustomerParty AccountingSupplierParty AdditionalDocumentReference AdditionalItemProperty Address
    AddressLine AllowanceCharge Attachment BillingReference BuyersItemIdentification CardAccount ClassifiedTaxCategory
    CommodityClassification Contact ContractDocumentReference Country CreditNoteLine Delivery DeliveryLocation
    DeliveryParty DespatchDocumentReference DocumentReference ExternalReference FinancialInstitutionBranch
    InvoiceDocumentReference InvoiceLine InvoicePeriod Item LegalMonetaryTotal OrderLineReference OrderReference
    OriginCountry OriginatorDocumentReference Party PartyIdentification PartyLegalEntity PartyName PartyTaxScheme
    PayeeFinancialAccount PayeeParty PayerFinancialAccount PaymentMandate PaymentMeans PaymentTerms PostalAddress
    PrepaidPayment Price ProjectReference ReceiptDocumentReference SellersItemIdentification
    StandardItemIdentification SubInvoiceLine TaxCategory TaxRepresentativeParty TaxScheme TaxSubtotal TaxTotal
}
names! { ext Extension super::cac::END;
    None
}
names! { inv Invoice super::ext::END;
    Invoice
}
names! { cn CreditNote super::inv::END;
    CreditNote
}
names! { rsm Message super::cn::END;
    CrossIndustryInvoice ExchangedDocument ExchangedDocumentContext SupplyChainTradeTransaction
}
names! { ram Entity super::rsm::END;
    AccountName ActualAmount ActualDeliverySupplyChainEvent AdditionalReferencedDocument AllowanceTotalAmount
    ApplicableHeaderTradeAgreement ApplicableHeaderTradeDelivery ApplicableHeaderTradeSettlement
    ApplicableProductCharacteristic ApplicableTradeSettlementFinancialCard ApplicableTradeTax
    AppliedTradeAllowanceCharge AssociatedDocumentLineDocument AttachmentBinaryObject BICID BasisAmount BasisQuantity
    BilledQuantity BillingSpecifiedPeriod BusinessProcessSpecifiedDocumentContextParameter BuyerAssignedID
    BuyerOrderReferencedDocument BuyerReference BuyerTradeParty CalculatedAmount CalculationPercent CardholderName
    CategoryCode CategoryTradeTax ChargeAmount ChargeIndicator ChargeTotalAmount CityName ClassCode CompleteNumber
    Content ContractReferencedDocument CountryID CountrySubDivisionName CreditorReferenceID DefinedTradeContact
    DepartmentName Description DesignatedProductClassification DespatchAdviceReferencedDocument DirectDebitMandateID
    DueDateDateTime DueDateTypeCode DuePayableAmount EmailURIUniversalCommunication EndDateTime ExemptionReason
    ExemptionReasonCode FormattedIssueDateTime GlobalID GrandTotalAmount GrossPriceProductTradePrice
    GuidelineSpecifiedDocumentContextParameter IBANID ID IncludedNote IncludedSupplyChainTradeLineItem Information
    InvoiceCurrencyCode InvoiceReferencedDocument IssueDateTime IssuerAssignedID LineID LineOne LineThree
    LineTotalAmount LineTwo Name NetPriceProductTradePrice OccurrenceDateTime OriginTradeCountry ParentLineID
    PayeePartyCreditorFinancialAccount PayeeSpecifiedCreditorFinancialInstitution PayeeTradeParty
    PayerPartyDebtorFinancialAccount PayerSpecifiedDebtorFinancialInstitution PaymentReference PersonName
    PostalTradeAddress PostcodeCode ProprietaryID RateApplicablePercent Reason ReasonCode
    ReceivableSpecifiedTradeAccountingAccount ReceivingAdviceReferencedDocument ReferenceTypeCode RoundingAmount
    SellerAssignedID SellerOrderReferencedDocument SellerTaxRepresentativeTradeParty SellerTradeParty ShipToTradeParty
    SpecifiedLegalOrganization SpecifiedLineTradeAgreement SpecifiedLineTradeDelivery SpecifiedLineTradeSettlement
    SpecifiedProcuringProject SpecifiedTaxRegistration SpecifiedTradeAllowanceCharge SpecifiedTradePaymentTerms
    SpecifiedTradeProduct SpecifiedTradeSettlementHeaderMonetarySummation
    SpecifiedTradeSettlementLineMonetarySummation SpecifiedTradeSettlementPaymentMeans StartDateTime SubjectCode
    TaxBasisTotalAmount TaxCurrencyCode TaxPointDate TaxTotalAmount TelephoneUniversalCommunication TotalPrepaidAmount
    TradingBusinessName TypeCode URIID URIUniversalCommunication Value
}
names! { udt Data super::ram::END;
    DateString DateTimeString Indicator
}
// END NAMES
