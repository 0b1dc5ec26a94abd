//! What a column may hold.

/// A kind of personal information. The category that a policy gives such a column is [`Kind::category`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs)]
pub enum Kind {
    PersonName,
    UserName,
    Email,
    Phone,
    Social,
    NationalId,
    Passport,
    TaxNumber,
    DriverLicence,
    TrafficRegister,
    Organisation,
    Vehicle,
    PersonId,
    Address,
    Area,
    Location,
    Birth,
    Gender,
    Family,
    Nationality,
    Language,
    Employment,
    Financial,
    Credential,
    Network,
    Device,
    Health,
    Race,
    Religion,
    Politics,
    Union,
    SexLife,
    Biometric,
    Crime,
    Photo,
    FreeText,
    Document,
    /// A phrase that means something else, though a part of it looks personal: `host name`.
    None,
}

use Kind::*;

/// Each kind with its name in the data files, the category it becomes, and words for a person.
const ALL: &[(Kind, &str, &str, &str)] = &[
    (PersonName, "person_name", "identity", "name of a person"),
    (UserName, "user_name", "identity", "name of a user"),
    (Email, "email", "contact", "e-mail address"),
    (Phone, "phone", "contact", "telephone number"),
    (Social, "social", "contact", "name in a social network"),
    (NationalId, "national_id", "national_id", "identity number"),
    (Passport, "passport", "national_id", "passport number"),
    (TaxNumber, "tax_number", "national_id", "income tax number"),
    (DriverLicence, "driver_licence", "national_id", "driver's licence number"),
    (TrafficRegister, "traffic_register", "national_id", "traffic register number"),
    (Organisation, "organisation", "organisation", "number of a juristic person"),
    (Vehicle, "vehicle", "vehicle", "vehicle registration"),
    (PersonId, "person_id", "identifier", "number that stands for a person"),
    (Address, "address", "address", "street address"),
    (Area, "area", "area", "postal code or suburb"),
    (Location, "location", "location", "coordinates"),
    (Birth, "birth", "birth", "date of birth or age"),
    (Gender, "gender", "gender", "gender"),
    (Family, "family", "family", "family status"),
    (Nationality, "nationality", "nationality", "nationality or place of birth"),
    (Language, "language", "language", "home language"),
    (Employment, "employment", "employment", "occupation"),
    (Financial, "financial", "financial", "account, card or income"),
    (Credential, "credential", "credential", "password or secret"),
    (Network, "network", "network", "network address"),
    (Device, "device", "device", "device number"),
    (Health, "health", "health", "health"),
    (Race, "race", "race", "race or ethnic origin"),
    (Religion, "religion", "religion", "religion"),
    (Politics, "politics", "politics", "political persuasion"),
    (Union, "union", "trade_union", "trade union membership"),
    (SexLife, "sex_life", "sex_life", "sex life"),
    (Biometric, "biometric", "biometric", "biometric information"),
    (Crime, "crime", "crime", "criminal behaviour"),
    (Photo, "photo", "photo", "picture of a person"),
    (FreeText, "free_text", "free_text", "free text"),
    (Document, "document", "document", "document about a person"),
    (None, "none", "operational", "nothing personal"),
];

impl Kind {
    /// The kind of that name in a data file.
    pub fn named(name: &str) -> Option<Self> {
        ALL.iter().find(|(_, known, ..)| *known == name).map(|(kind, ..)| *kind)
    }

    /// The kind that becomes that category, where there is one: the first.
    pub fn of_category(category: &str) -> Option<Self> {
        ALL.iter().find(|(kind, _, known, _)| *known == category && *kind != None).map(|(kind, ..)| *kind)
    }

    /// Every category that a scan proposes, each once, in a fixed order.
    pub fn categories() -> Vec<&'static str> {
        let mut categories: Vec<&'static str> = Vec::new();
        for (kind, _, category, _) in ALL {
            if *kind != None && !categories.contains(category) {
                categories.push(category);
            }
        }
        categories
    }

    fn entry(self) -> (&'static str, &'static str) {
        ALL.iter()
            .find(|(kind, ..)| *kind == self)
            .map_or(("operational", ""), |(_, _, category, words)| (category, words))
    }

    /// The category in a policy.
    pub fn category(self) -> &'static str {
        self.entry().0
    }

    /// In words.
    pub fn words(self) -> &'static str {
        self.entry().1
    }

    /// Special personal information (POPIA section 26).
    pub fn is_special(self) -> bool {
        matches!(self, Health | Race | Religion | Politics | Union | SexLife | Biometric | Crime)
    }

    /// Says of a table whose columns hold it that its rows are people.
    pub(super) fn marks_people(self) -> bool {
        matches!(
            self,
            PersonName
                | Email
                | Phone
                | NationalId
                | Passport
                | TaxNumber
                | DriverLicence
                | Birth
                | Gender
                | Family
                | Race
                | Religion
                | Address
        )
    }
}

/// How sure a verdict is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Somebody should look.
    Unsure,
    /// Mostly right.
    Likely,
    /// Name or values leave little doubt.
    Sure,
}

impl Level {
    /// Of a confidence from 0 to 1.
    pub fn of(confidence: f64) -> Self {
        match confidence {
            c if c >= 0.85 => Self::Sure,
            c if c >= 0.6 => Self::Likely,
            _ => Self::Unsure,
        }
    }

    /// `sure`, `likely` or `unsure`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sure => "sure",
            Self::Likely => "likely",
            Self::Unsure => "unsure",
        }
    }

    /// What a phrase of this level in a data file is worth by itself.
    pub(super) fn worth(self) -> f64 {
        match self {
            Self::Sure => 0.88,
            Self::Likely => 0.7,
            Self::Unsure => 0.4,
        }
    }
}
