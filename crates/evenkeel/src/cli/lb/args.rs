//! What `evenkeel lb` takes: every sub-command and flag, once.
//!
//! Owns words and examples, no behaviour. Next: [`super`], which carries them out.

use clap::{Args, Subcommand};

use crate::cli::settings::Reach;

/// Arguments of `evenkeel lb`.
#[derive(Debug, Clone, Args)]
#[command(
    arg_required_else_help = true,
    disable_help_subcommand = true,
    after_help = "Examples:
  evenkeel lb list
  evenkeel lb create web http:80=8080 --zone us-east-1a --zone us-east-1b
  evenkeel lb add web i-0123456789abcdef0
  evenkeel lb attr web draining=30 --dry-run
  evenkeel lb show web"
)]
pub struct Lb {
    /// What to do.
    #[command(subcommand)]
    pub action: Action,
}

/// What to do with load balancers.
#[derive(Debug, Clone, Subcommand)]
pub enum Action {
    /// List load balancers: listeners, zones, instances in service, names
    #[command(visible_alias = "ls")]
    List(List),
    /// Show all there is to know of a load balancer
    Show(Show),
    /// Make a load balancer
    Create(Create),
    /// Delete load balancers
    Delete(Delete),
    /// Put instances behind a load balancer
    Add(Members),
    /// Take instances from a load balancer
    #[command(visible_alias = "rm")]
    Remove(Members),
    /// Show how the instances behind a load balancer fare
    Health(Health),
    /// Show or change the health check
    Check(Check),
    /// Add and remove listeners, give them certificates
    Listener(Listener),
    /// Enable and disable availability zones
    Zone(Zone),
    /// Attach and detach subnets, of a load balancer made for subnets
    Subnet(Subnet),
    /// Show or change attributes: draining, idle timeout, access log …
    Attr(Attr),
    /// Make and delete policies, set them on listeners
    Policy(Policy),
    /// Show or set the policies of instance ports
    Backend(Backend),
    /// Show or set the security groups
    Groups(Groups),
    /// Show or change tags
    Tag(Tag),
    /// Show what an account may have at most
    Limits(Limits),
}

/// How to change something.
#[derive(Debug, Clone, Default, Args)]
pub struct How {
    /// Print the difference that it would make, and make none
    #[arg(long)]
    pub dry_run: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// How to reach the daemon.
    #[command(flatten)]
    pub reach: Reach,
}

/// How to show something.
#[derive(Debug, Clone, Default, Args)]
pub struct Look {
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// How to reach the daemon.
    #[command(flatten)]
    pub reach: Reach,
}

/// Arguments of `evenkeel lb list`.
#[derive(Debug, Clone, Default, Args)]
#[command(after_help = "Examples:\n  evenkeel lb list\n  evenkeel lb list --json | jq -r '.[].dns_name'")]
pub struct List {
    /// Only these [default: all]
    #[arg(value_name = "NAME")]
    pub names: Vec<String>,
    /// How to show it.
    #[command(flatten)]
    pub look: Look,
}

/// Arguments of `evenkeel lb show`.
#[derive(Debug, Clone, Default, Args)]
#[command(after_help = "Examples:\n  evenkeel lb show web\n  evenkeel lb show web --json | jq .attributes")]
pub struct Show {
    /// Name of the load balancer
    #[arg(value_name = "NAME")]
    pub name: String,
    /// How to show it.
    #[command(flatten)]
    pub look: Look,
}

/// Arguments of `evenkeel lb create`.
#[derive(Debug, Clone, Default, Args)]
#[command(after_help = "\
Listeners: PROTO:PORT=[PROTO:]PORT[,CERTIFICATE], from what clients speak to what instances are spoken to; PROTO is http, https,
tcp or ssl, CERTIFICATE a name or an ARN. elbadmin's IN,OUT,PROTO[,CERTIFICATE] is read as well.

Examples:
  evenkeel lb create web http:80=8080 --zone us-east-1a --zone us-east-1b
  evenkeel lb create web http:80=8080 https:443=8080,www --zone us-east-1a --tag env=test
  evenkeel lb create mail tcp:25=2525 --subnet subnet-0123456789abcdef0 --internal --dry-run")]
pub struct Create {
    /// Name of the load balancer
    #[arg(value_name = "NAME")]
    pub name: String,
    /// What it listens for: http:80=8080, https:443=8080,www
    #[arg(value_name = "LISTENER", required = true)]
    pub listeners: Vec<String>,
    /// Enable this zone; may be repeated
    #[arg(short, long = "zone", value_name = "ZONE", required_unless_present = "subnets", conflicts_with = "subnets")]
    pub zones: Vec<String>,
    /// Attach this subnet, in place of zones; may be repeated
    #[arg(long = "subnet", value_name = "SUBNET")]
    pub subnets: Vec<String>,
    /// For insiders: its name begins with `internal-`
    #[arg(long)]
    pub internal: bool,
    /// Security group whose rules say who may connect; may be repeated [default: everybody may]
    #[arg(long = "group", value_name = "GROUP")]
    pub groups: Vec<String>,
    /// Tag it; may be repeated
    #[arg(long = "tag", value_name = "KEY=VALUE")]
    pub tags: Vec<String>,
    /// How to change it.
    #[command(flatten)]
    pub how: How,
}

/// Arguments of `evenkeel lb delete`.
#[derive(Debug, Clone, Default, Args)]
#[command(after_help = "Examples:\n  evenkeel lb delete web --dry-run\n  evenkeel lb delete web")]
pub struct Delete {
    /// Names of the load balancers; one that is not there is deleted already
    #[arg(value_name = "NAME", required = true)]
    pub names: Vec<String>,
    /// How to change it.
    #[command(flatten)]
    pub how: How,
}

/// Arguments of `evenkeel lb add` and `evenkeel lb remove`.
#[derive(Debug, Clone, Default, Args)]
#[command(after_help = "\
Examples:
  evenkeel lb add web i-0123456789abcdef0 i-0fedcba9876543210
  evenkeel lb remove web i-0123456789abcdef0
  list_instances -t -H ID -f instance-state-name=running | xargs evenkeel lb add web")]
pub struct Members {
    /// Name of the load balancer
    #[arg(value_name = "NAME")]
    pub name: String,
    /// The instances
    #[arg(value_name = "ID", required = true)]
    pub ids: Vec<String>,
    /// How to change it.
    #[command(flatten)]
    pub how: How,
}

/// Arguments of `evenkeel lb health`.
#[derive(Debug, Clone, Default, Args)]
#[command(
    after_help = "Examples:\n  evenkeel lb health web\n  evenkeel lb health web --json | jq -r '.[] | select(.state != \"InService\").instance'"
)]
pub struct Health {
    /// Name of the load balancer
    #[arg(value_name = "NAME")]
    pub name: String,
    /// Only these instances [default: all that are registered or draining]
    #[arg(value_name = "ID")]
    pub ids: Vec<String>,
    /// How to show it.
    #[command(flatten)]
    pub look: Look,
}

/// Arguments of `evenkeel lb check`.
#[derive(Debug, Clone, Default, Args)]
#[command(after_help = "\
What is not stated stays as it is; where nothing is stated the check is shown.

Examples:
  evenkeel lb check web
  evenkeel lb check web --target HTTP:8080/health --interval 10 --healthy 2
  evenkeel lb check web --target TCP:25 --dry-run")]
pub struct Check {
    /// Name of the load balancer
    #[arg(value_name = "NAME")]
    pub name: String,
    /// What is asked: HTTP:8080/ping, HTTPS:8443/ping, TCP:25, SSL:993
    #[arg(short, long, value_name = "TARGET")]
    pub target: Option<String>,
    /// From one check to the next, 5 to 300
    #[arg(short, long, value_name = "SECONDS")]
    pub interval: Option<i64>,
    /// How long an answer may take, 2 to 60 and below the interval
    #[arg(long, value_name = "SECONDS")]
    pub timeout: Option<i64>,
    /// Failures in a row that take an instance out of service, 2 to 10
    #[arg(long, value_name = "N")]
    pub unhealthy: Option<i64>,
    /// Successes in a row that bring it back, 2 to 10
    #[arg(long, value_name = "N")]
    pub healthy: Option<i64>,
    /// How to change it.
    #[command(flatten)]
    pub how: How,
}

/// Arguments of `evenkeel lb listener`.
#[derive(Debug, Clone, Args)]
#[command(
    arg_required_else_help = true,
    disable_help_subcommand = true,
    after_help = "Examples:\n  evenkeel lb listener add web https:443=8080,www\n  evenkeel lb listener remove web 80"
)]
pub struct Listener {
    /// What to do.
    #[command(subcommand)]
    pub action: ListenerAction,
}

/// What to do with listeners.
#[derive(Debug, Clone, Subcommand)]
pub enum ListenerAction {
    /// Add listeners
    Add(ListenerAdd),
    /// Remove listeners
    #[command(visible_alias = "rm")]
    Remove(ListenerRemove),
    /// Give a listener another certificate; connections go on
    Cert(ListenerCert),
}

/// Arguments of `evenkeel lb listener add`.
#[derive(Debug, Clone, Default, Args)]
#[command(after_help = "\
Listeners: PROTO:PORT=[PROTO:]PORT[,CERTIFICATE], as `evenkeel lb create --help` says.

Examples:
  evenkeel lb listener add web http:80=8080
  evenkeel lb listener add web https:443=https:8443,www
  evenkeel lb listener add web tcp:25=2525 --dry-run")]
pub struct ListenerAdd {
    /// Name of the load balancer
    #[arg(value_name = "NAME")]
    pub name: String,
    /// What it listens for: http:80=8080, https:443=8080,www
    #[arg(value_name = "LISTENER", required = true)]
    pub listeners: Vec<String>,
    /// How to change it.
    #[command(flatten)]
    pub how: How,
}

/// Arguments of `evenkeel lb listener remove`.
#[derive(Debug, Clone, Default, Args)]
#[command(
    after_help = "Examples:\n  evenkeel lb listener remove web 80\n  evenkeel lb listener remove web 80 443 --dry-run"
)]
pub struct ListenerRemove {
    /// Name of the load balancer
    #[arg(value_name = "NAME")]
    pub name: String,
    /// Ports of the listeners; one that has none is left out
    #[arg(value_name = "PORT", required = true)]
    pub ports: Vec<u16>,
    /// How to change it.
    #[command(flatten)]
    pub how: How,
}

/// Arguments of `evenkeel lb listener cert`.
#[derive(Debug, Clone, Default, Args)]
#[command(
    after_help = "Examples:\n  evenkeel lb listener cert web 443 www-2027\n  evenkeel lb listener cert web 443 arn:aws:acm:… --dry-run"
)]
pub struct ListenerCert {
    /// Name of the load balancer
    #[arg(value_name = "NAME")]
    pub name: String,
    /// Port of the listener
    #[arg(value_name = "PORT")]
    pub port: u16,
    /// Name or ARN of the certificate
    #[arg(value_name = "CERTIFICATE")]
    pub certificate: String,
    /// How to change it.
    #[command(flatten)]
    pub how: How,
}

/// Arguments of `evenkeel lb zone`.
#[derive(Debug, Clone, Args)]
#[command(
    arg_required_else_help = true,
    disable_help_subcommand = true,
    after_help = "Examples:\n  evenkeel lb zone enable web us-east-1c\n  evenkeel lb zone disable web us-east-1a --dry-run"
)]
pub struct Zone {
    /// What to do.
    #[command(subcommand)]
    pub action: ZoneAction,
}

/// What to do with zones.
#[derive(Debug, Clone, Subcommand)]
pub enum ZoneAction {
    /// Give the load balancer a node in more zones
    Enable(Places),
    /// Take the load balancer from zones; one must stay
    Disable(Places),
}

/// Arguments of `evenkeel lb subnet`.
#[derive(Debug, Clone, Args)]
#[command(
    arg_required_else_help = true,
    disable_help_subcommand = true,
    after_help = "Examples:\n  evenkeel lb subnet attach web subnet-0123456789abcdef0\n  evenkeel lb subnet detach web subnet-0123456789abcdef0"
)]
pub struct Subnet {
    /// What to do.
    #[command(subcommand)]
    pub action: SubnetAction,
}

/// What to do with subnets.
#[derive(Debug, Clone, Subcommand)]
pub enum SubnetAction {
    /// Give the load balancer a node in more subnets
    Attach(Places),
    /// Take the load balancer from subnets; one must stay
    Detach(Places),
}

/// Arguments of `evenkeel lb zone enable` and its like.
#[derive(Debug, Clone, Default, Args)]
#[command(
    after_help = "Examples:\n  evenkeel lb zone enable web us-east-1c\n  evenkeel lb subnet attach web subnet-0123456789abcdef0 --dry-run"
)]
pub struct Places {
    /// Name of the load balancer
    #[arg(value_name = "NAME")]
    pub name: String,
    /// Zones, or subnets
    #[arg(value_name = "PLACE", required = true)]
    pub places: Vec<String>,
    /// How to change it.
    #[command(flatten)]
    pub how: How,
}

/// Arguments of `evenkeel lb attr`.
#[derive(Debug, Clone, Default, Args)]
#[command(after_help = "\
Attributes: cross-zone=on|off, draining=on|off|SECONDS, idle-timeout=SECONDS, access-log=on|off|BUCKET[/PREFIX],
access-log-interval=5|60 (minutes), desync=monitor|defensive|strictest, and evenkeel.balance.… (docs/concepts.md). What is not
stated stays as it is; where nothing is stated all are shown.

Examples:
  evenkeel lb attr web
  evenkeel lb attr web cross-zone=on draining=30
  evenkeel lb attr web access-log=logs/web access-log-interval=5 --dry-run
  evenkeel lb attr web evenkeel.balance.algorithm=least_latency")]
pub struct Attr {
    /// Name of the load balancer
    #[arg(value_name = "NAME")]
    pub name: String,
    /// What to change
    #[arg(value_name = "KEY=VALUE")]
    pub settings: Vec<String>,
    /// How to change it.
    #[command(flatten)]
    pub how: How,
}

/// Arguments of `evenkeel lb policy`.
#[derive(Debug, Clone, Args)]
#[command(
    arg_required_else_help = true,
    disable_help_subcommand = true,
    after_help = "Examples:
  evenkeel lb policy cookie web sticky --seconds 3600
  evenkeel lb policy set web 80 sticky
  evenkeel lb policy set web 443 ELBSecurityPolicy-TLS-1-2-2017-01"
)]
pub struct Policy {
    /// What to do.
    #[command(subcommand)]
    pub action: PolicyAction,
}

/// What to do with policies.
#[derive(Debug, Clone, Subcommand)]
pub enum PolicyAction {
    /// Show the types of policies and their attributes
    Types(PolicyTypes),
    /// List a load balancer's policies, or the predefined ones
    #[command(visible_alias = "ls")]
    List(PolicyList),
    /// Make a policy of any type
    Create(PolicyCreate),
    /// Make a policy by which clients stick to an instance
    Cookie(PolicyCookie),
    /// Set the policies of a listener, in place of those it has
    Set(PolicySet),
    /// Delete policies that nothing goes by
    Delete(PolicyDelete),
}

/// Arguments of `evenkeel lb policy types`.
#[derive(Debug, Clone, Default, Args)]
#[command(after_help = "Examples:\n  evenkeel lb policy types\n  evenkeel lb policy types ProxyProtocol --json")]
pub struct PolicyTypes {
    /// Only these [default: all]; `PolicyType` at the end may be left out
    #[arg(value_name = "TYPE")]
    pub types: Vec<String>,
    /// How to show it.
    #[command(flatten)]
    pub look: Look,
}

/// Arguments of `evenkeel lb policy list`.
#[derive(Debug, Clone, Default, Args)]
#[command(
    after_help = "Examples:\n  evenkeel lb policy list                 the predefined ones\n  evenkeel lb policy list web\n  evenkeel lb policy list web sticky --json"
)]
pub struct PolicyList {
    /// Name of the load balancer [default: the predefined policies]
    #[arg(value_name = "NAME")]
    pub name: Option<String>,
    /// Only these [default: all]
    #[arg(value_name = "POLICY")]
    pub policies: Vec<String>,
    /// How to show it.
    #[command(flatten)]
    pub look: Look,
}

/// Arguments of `evenkeel lb policy create`.
#[derive(Debug, Clone, Default, Args)]
#[command(after_help = "\
Types and their attributes: `evenkeel lb policy types`. A value that begins with @ is read from that file.

Examples:
  evenkeel lb policy create mail proxy ProxyProtocol ProxyProtocol=true
  evenkeel lb policy create web modern SSLNegotiation Reference-Security-Policy=ELBSecurityPolicy-TLS-1-2-2017-01
  evenkeel lb policy create web key PublicKey PublicKey=@backend.pub
  evenkeel lb policy create web trusted BackendServerAuthentication PublicKeyPolicyName=key --dry-run")]
pub struct PolicyCreate {
    /// Name of the load balancer
    #[arg(value_name = "NAME")]
    pub name: String,
    /// Name of the policy
    #[arg(value_name = "POLICY")]
    pub policy: String,
    /// Its type; `PolicyType` at the end may be left out
    #[arg(value_name = "TYPE")]
    pub kind: String,
    /// What it says
    #[arg(value_name = "ATTRIBUTE=VALUE")]
    pub attributes: Vec<String>,
    /// How to change it.
    #[command(flatten)]
    pub how: How,
}

/// Arguments of `evenkeel lb policy cookie`.
#[derive(Debug, Clone, Default, Args)]
#[command(after_help = "\
Examples:
  evenkeel lb policy cookie web sticky                    until the browser closes
  evenkeel lb policy cookie web sticky --seconds 3600
  evenkeel lb policy cookie web session --app JSESSIONID  as long as the application's own cookie")]
pub struct PolicyCookie {
    /// Name of the load balancer
    #[arg(value_name = "NAME")]
    pub name: String,
    /// Name of the policy
    #[arg(value_name = "POLICY")]
    pub policy: String,
    /// How long the load balancer's cookie holds
    #[arg(long, value_name = "SECONDS", conflicts_with = "app")]
    pub seconds: Option<i64>,
    /// Go by this cookie of the application's
    #[arg(long, value_name = "COOKIE")]
    pub app: Option<String>,
    /// How to change it.
    #[command(flatten)]
    pub how: How,
}

/// Arguments of `evenkeel lb policy set`.
#[derive(Debug, Clone, Default, Args)]
#[command(after_help = "\
Examples:
  evenkeel lb policy set web 80 sticky
  evenkeel lb policy set web 443 ELBSecurityPolicy-TLS-1-2-2017-01 sticky --dry-run
  evenkeel lb policy set web 80 --none")]
pub struct PolicySet {
    /// Name of the load balancer
    #[arg(value_name = "NAME")]
    pub name: String,
    /// Port of the listener
    #[arg(value_name = "PORT")]
    pub port: u16,
    /// Its policies from now on; predefined ones by their names
    #[arg(value_name = "POLICY", required_unless_present = "none")]
    pub policies: Vec<String>,
    /// No policies
    #[arg(long, conflicts_with = "policies")]
    pub none: bool,
    /// How to change it.
    #[command(flatten)]
    pub how: How,
}

/// Arguments of `evenkeel lb policy delete`.
#[derive(Debug, Clone, Default, Args)]
#[command(after_help = "Examples:\n  evenkeel lb policy delete web sticky")]
pub struct PolicyDelete {
    /// Name of the load balancer
    #[arg(value_name = "NAME")]
    pub name: String,
    /// Policies; one that is not there is deleted already
    #[arg(value_name = "POLICY", required = true)]
    pub policies: Vec<String>,
    /// How to change it.
    #[command(flatten)]
    pub how: How,
}

/// Arguments of `evenkeel lb backend`.
#[derive(Debug, Clone, Default, Args)]
#[command(after_help = "\
Where no port is stated, the ports that have policies are shown.

Examples:
  evenkeel lb backend web
  evenkeel lb backend mail 2525 proxy
  evenkeel lb backend mail 2525 --none --dry-run")]
pub struct Backend {
    /// Name of the load balancer
    #[arg(value_name = "NAME")]
    pub name: String,
    /// Port on the instances
    #[arg(value_name = "PORT")]
    pub port: Option<u16>,
    /// Its policies from now on
    #[arg(value_name = "POLICY")]
    pub policies: Vec<String>,
    /// No policies
    #[arg(long, conflicts_with = "policies", requires = "port")]
    pub none: bool,
    /// How to change it.
    #[command(flatten)]
    pub how: How,
}

/// Arguments of `evenkeel lb groups`.
#[derive(Debug, Clone, Default, Args)]
#[command(after_help = "\
Examples:
  evenkeel lb groups web
  evenkeel lb groups web sg-0123456789abcdef0 --dry-run
  evenkeel lb groups web --none          everybody may connect")]
pub struct Groups {
    /// Name of the load balancer
    #[arg(value_name = "NAME")]
    pub name: String,
    /// Its security groups from now on, at most 5
    #[arg(value_name = "GROUP")]
    pub groups: Vec<String>,
    /// No security groups: everybody may connect
    #[arg(long, conflicts_with = "groups")]
    pub none: bool,
    /// How to change it.
    #[command(flatten)]
    pub how: How,
}

/// Arguments of `evenkeel lb tag`.
#[derive(Debug, Clone, Default, Args)]
#[command(after_help = "\
Examples:
  evenkeel lb tag web
  evenkeel lb tag web env=test owner=ada
  evenkeel lb tag web --remove env --dry-run")]
pub struct Tag {
    /// Name of the load balancer
    #[arg(value_name = "NAME")]
    pub name: String,
    /// Tags to set, at most 10 in all
    #[arg(value_name = "KEY=VALUE")]
    pub tags: Vec<String>,
    /// Remove this tag; may be repeated
    #[arg(long = "remove", value_name = "KEY")]
    pub removed: Vec<String>,
    /// How to change it.
    #[command(flatten)]
    pub how: How,
}

/// Arguments of `evenkeel lb limits`.
#[derive(Debug, Clone, Default, Args)]
#[command(after_help = "Examples:\n  evenkeel lb limits")]
pub struct Limits {
    /// How to show it.
    #[command(flatten)]
    pub look: Look,
}

impl Lb {
    /// How to reach the daemon.
    pub fn reach(&self) -> &Reach {
        match &self.action {
            Action::List(args) => &args.look.reach,
            Action::Show(args) => &args.look.reach,
            Action::Create(args) => &args.how.reach,
            Action::Delete(args) => &args.how.reach,
            Action::Add(args) | Action::Remove(args) => &args.how.reach,
            Action::Health(args) => &args.look.reach,
            Action::Check(args) => &args.how.reach,
            Action::Listener(args) => match &args.action {
                ListenerAction::Add(args) => &args.how.reach,
                ListenerAction::Remove(args) => &args.how.reach,
                ListenerAction::Cert(args) => &args.how.reach,
            },
            Action::Zone(Zone { action: ZoneAction::Enable(args) | ZoneAction::Disable(args) })
            | Action::Subnet(Subnet { action: SubnetAction::Attach(args) | SubnetAction::Detach(args) }) => {
                &args.how.reach
            }
            Action::Attr(args) => &args.how.reach,
            Action::Policy(args) => match &args.action {
                PolicyAction::Types(args) => &args.look.reach,
                PolicyAction::List(args) => &args.look.reach,
                PolicyAction::Create(args) => &args.how.reach,
                PolicyAction::Cookie(args) => &args.how.reach,
                PolicyAction::Set(args) => &args.how.reach,
                PolicyAction::Delete(args) => &args.how.reach,
            },
            Action::Backend(args) => &args.how.reach,
            Action::Groups(args) => &args.how.reach,
            Action::Tag(args) => &args.how.reach,
            Action::Limits(args) => &args.look.reach,
        }
    }
}
