//! Policies that are there without anyone's doing, under AWS's names and ARNs (`arn:aws:iam::aws:policy/…`).
//!
//! Owns their texts: AWS's, cut to the services that exist here. They can be attached, not changed.

/// One predefined policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Predefined {
    /// AWS's name.
    pub name: &'static str,
    /// `ANPA` and what follows it at AWS.
    pub id: &'static str,
    /// AWS's description.
    pub description: &'static str,
    /// JSON.
    pub document: &'static str,
}

/// What their ARNs begin with.
pub const PREFIX: &str = "arn:aws:iam::aws:policy/";

/// All of them, by name.
pub const PREDEFINED: &[Predefined] = &[
    Predefined {
        name: "AdministratorAccess",
        id: "ANPAIWMBCKSKIEE64ZLYK",
        description: "Provides full access to AWS services and resources.",
        document: r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}"#,
    },
    Predefined {
        name: "AmazonEC2FullAccess",
        id: "ANPAI3VAJF5ZCRZ7MCQE6",
        description: "Provides full access to Amazon EC2 via the AWS Management Console.",
        document: r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["ec2:*","elasticloadbalancing:*"],"Resource":"*"}]}"#,
    },
    Predefined {
        name: "AmazonEC2ReadOnlyAccess",
        id: "ANPAIGDT4SV4GSETWTBZK",
        description: "Provides read only access to Amazon EC2 via the AWS Management Console.",
        document: r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["ec2:Describe*","ec2:GetConsoleOutput","elasticloadbalancing:Describe*"],"Resource":"*"}]}"#,
    },
    Predefined {
        name: "ElasticLoadBalancingFullAccess",
        id: "ANPAIDPMLA3IUIOQCISJ4",
        description: "Provides full access to Amazon ElasticLoadBalancing, and limited access to other services necessary to provide ElasticLoadBalancing features.",
        document: r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["elasticloadbalancing:*","ec2:Describe*","iam:ListServerCertificates","acm:ListCertificates","acm:DescribeCertificate"],"Resource":"*"}]}"#,
    },
    Predefined {
        name: "ElasticLoadBalancingReadOnly",
        id: "ANPAJMO7B7SNFLQ6HH736",
        description: "Provides read only access to Amazon ElasticLoadBalancing and dependent services",
        document: r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["elasticloadbalancing:Describe*","ec2:DescribeInstances","ec2:DescribeSecurityGroups"],"Resource":"*"}]}"#,
    },
    Predefined {
        name: "IAMFullAccess",
        id: "ANPAI7XKCFMBPM3QQRRVQ",
        description: "Provides full access to IAM via the AWS Management Console.",
        document: r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"iam:*","Resource":"*"}]}"#,
    },
    Predefined {
        name: "IAMReadOnlyAccess",
        id: "ANPAJKSO7NDY4T57MWDSQ",
        description: "Provides read only access to IAM via the AWS Management Console.",
        document: r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["iam:Get*","iam:List*","iam:Simulate*"],"Resource":"*"}]}"#,
    },
    Predefined {
        name: "ReadOnlyAccess",
        id: "ANPAILL3HVNFSB6DCOWYQ",
        description: "Provides read-only access to AWS services and resources.",
        document: r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["acm:Describe*","acm:Get*","acm:List*","ec2:Describe*","ec2:Get*","elasticloadbalancing:Describe*","evenkeel:Get*","iam:Get*","iam:List*","iam:Simulate*","sns:Get*","sns:List*","sts:GetCallerIdentity"],"Resource":"*"}]}"#,
    },
];

/// A predefined policy by its ARN.
#[must_use]
pub fn predefined(arn: &str) -> Option<&'static Predefined> {
    let name = arn.strip_prefix(PREFIX)?;
    PREDEFINED.iter().find(|policy| policy.name == name)
}

impl Predefined {
    /// Its ARN.
    #[must_use]
    pub fn arn(&self) -> String {
        format!("{PREFIX}{}", self.name)
    }
}
