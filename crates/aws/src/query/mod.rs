//! The query protocol's parameters: `Listeners.member.1.Protocol=http`, `InstanceId.1=i-1`, to and from typed inputs.
//!
//! Knows no action and no rule. Bounded: at most [`MAX_PARAMS`] parameters, names at most [`MAX_DEPTH`] deep. Next:
//! `params` (text), `de` (to values), `ser` (from values), `error`.

mod de;
mod error;
mod params;
mod ser;

pub use error::Error;
pub(crate) use params::RESERVED;
pub use params::{MAX_DEPTH, MAX_PARAMS, Params, Tree};
pub use ser::to_params;

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;
    use crate::{Dialect, elb};

    fn read<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, Error> {
        let mut params = Params::default();
        params.read(text.as_bytes())?;
        params.tree()?.to()
    }

    #[derive(Debug, Default, PartialEq, Deserialize)]
    #[serde(default)]
    struct Input {
        flag: Option<bool>,
        count: Option<i64>,
        ids: Vec<String>,
        names: Option<crate::xml::Members<String>>,
        one: String,
    }

    #[test]
    fn every_form_of_a_value_is_read() {
        let check = |text: &str, wanted: Input| assert_eq!(read(text), Ok(wanted), "{text}");
        let strings = |texts: &[&str]| texts.iter().map(|text| String::from(*text)).collect::<Vec<_>>();
        for text in ["flag=true", "flag=True", "flag=TRUE", "flag=1"] {
            check(text, Input { flag: Some(true), ..Input::default() });
        }
        for text in ["flag=false", "flag=False", "flag=0"] {
            check(text, Input { flag: Some(false), ..Input::default() });
        }
        check("count=-5&unknown=x&unknown.member.1.y=z", Input { count: Some(-5), ..Input::default() });
        check("ids.10=c&ids.2=b&ids.1=a", Input { ids: strings(&["a", "b", "c"]), ..Input::default() });
        check("ids=", Input::default());
        check("names=", Input { names: Some(Default::default()), ..Input::default() });
        let names = Input { names: Some(strings(&["a", "b"]).into()), ..Input::default() };
        check("names=&names.member.1=a&names.member.7=b", names);
        check("one.1=x", Input { one: "x".into(), ..Input::default() });
        check("one=x&one=y", Input { one: "x".into(), ..Input::default() });
        check("one=%2B+%zz%", Input { one: "+ %zz%".into(), ..Input::default() });
        check("&&one=x&&", Input { one: "x".into(), ..Input::default() });
        check("", Input::default());
    }

    #[test]
    fn errors_name_the_parameter_in_the_apis_own_words() {
        let query = |error: Error| error.to_wire(crate::Api::Elb.dialect()).message;
        let ec2 = |error: Error| error.to_wire(Dialect::Ec2).message;
        let failed = |text: &str| read::<Input>(text).expect_err(text);
        assert_eq!(ec2(failed("count=many")), "Value (many) for parameter count is invalid. Must be an integer.");
        assert_eq!(
            query(failed("count=99999999999999999999")),
            "1 validation error detected: Value '99999999999999999999' at 'count' failed to satisfy constraint: Must be \
             an integer."
        );
        assert_eq!(ec2(failed("flag=yes")), "Value (yes) for parameter flag is invalid. Must be true or false.");
        assert_eq!(
            ec2(failed("ids=i-1")),
            "Value (i-1) for parameter ids is invalid. Must be a list: elements are numbered from 1."
        );
        assert_eq!(
            ec2(failed("ids.0=a")),
            "Value (a) for parameter ids.0 is invalid. Elements of a list are numbered from 1."
        );
        assert_eq!(ec2(failed("one.1=a&one.2=b")), "Value () for parameter one is invalid. Must be a single value.");
        assert_eq!(ec2(failed("one=%ff")), "The parameters are not valid UTF-8.");

        let failed = |text: &str| read::<elb::CreateLoadBalancerListeners>(text).expect_err(text);
        assert_eq!(
            query(failed("")),
            "1 validation error detected: Value null at 'loadBalancerName' failed to satisfy constraint: Member must not be null"
        );
        let text = "LoadBalancerName=x&Listeners.member.2.Protocol=http&Listeners.member.2.LoadBalancerPort=80";
        assert_eq!(ec2(failed(text)), "The request must contain the parameter Listeners.member.2.InstancePort");
        assert_eq!(
            query(failed(&format!("{text}&Listeners.member.2.InstancePort=http"))),
            "1 validation error detected: Value 'http' at 'listeners.2.member.instancePort' failed to satisfy \
             constraint: Must be an integer."
        );
    }

    #[test]
    fn a_bad_blob_names_its_parameter() {
        let error = read::<crate::ec2::RunInstances>("MinCount=1&MaxCount=1&UserData=%21").expect_err("not base64");
        let error = error.to_wire(Dialect::Ec2);
        assert_eq!(error.message, "Value (!) for parameter UserData is invalid. Invalid BASE64 encoding");
    }
}
