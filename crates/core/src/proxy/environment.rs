//! Proxies from environment variables, as curl and Python's programs read them: a pure function of what is given.
//!
//! Lower case before upper case, the scheme's own variable before `all_proxy`; an empty one counts as not set.
//! `HTTP_PROXY` is not looked at where REQUEST_METHOD is set: a CGI program gets a request's `Proxy` field under
//! that name, and whoever asks it would choose its proxy (httpoxy, CVE-2016-5385).

use std::fmt;

use super::{NoProxy, ProxyRules, ProxyUrl, ProxyUrlError};

impl ProxyRules {
    /// The rules that these variables make; `variable` gives the value of the one of this name, if it is set.
    ///
    /// # Errors
    /// A variable that names a proxy does not hold the URL of one. What cannot be read in `no_proxy` is passed over.
    pub fn from_variables(variable: impl Fn(&str) -> Option<String>) -> Result<ProxyRules, EnvironmentError> {
        let set = |name: &'static str| variable(name).filter(|value| !value.trim().is_empty()).map(|text| (name, text));
        let is_cgi = variable("REQUEST_METHOD").is_some();
        let all = || set("all_proxy").or_else(|| set("ALL_PROXY"));
        let http = set("http_proxy").or_else(|| set("HTTP_PROXY").filter(|_| !is_cgi)).or_else(all);
        let https = set("https_proxy").or_else(|| set("HTTPS_PROXY")).or_else(all);
        let list = set("no_proxy").or_else(|| set("NO_PROXY"));
        let read = |(name, text): (&'static str, String)| {
            text.parse::<ProxyUrl>().map_err(|error| EnvironmentError { variable: name, error })
        };
        Ok(ProxyRules {
            http: http.map(read).transpose()?,
            https: https.map(read).transpose()?,
            no_proxy: list.map(|(_, list)| NoProxy::lenient(&list)).unwrap_or_default(),
        })
    }
}

/// A variable that should name a proxy and does not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnvironmentError {
    variable: &'static str,
    error: ProxyUrlError,
}

impl fmt::Display for EnvironmentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the environment variable {}: {}", self.variable, self.error)
    }
}

impl std::error::Error for EnvironmentError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(variables: &[(&str, &str)]) -> Result<[String; 3], EnvironmentError> {
        let find = |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| value.to_string());
        let rules = ProxyRules::from_variables(find)?;
        let shown = |proxy: Option<ProxyUrl>| proxy.map_or_else(|| "-".to_owned(), |proxy| proxy.to_string());
        Ok([shown(rules.http), shown(rules.https), rules.no_proxy.to_string()])
    }

    #[test]
    fn each_scheme_has_its_variable_and_all_proxy_stands_behind() {
        for (variables, wanted) in [
            (&[][..], ["-", "-", ""]),
            (&[("http_proxy", "a:1"), ("no_proxy", "x.test")], ["http://a:1", "-", "x.test"]),
            (&[("https_proxy", "a:1")], ["-", "http://a:1", ""]),
            (&[("HTTPS_PROXY", "https://a:1"), ("HTTP_PROXY", "b:2")], ["http://b:2", "https://a:1", ""]),
            (&[("all_proxy", "socks5h://a")], ["socks5h://a:1080", "socks5h://a:1080", ""]),
            (&[("ALL_PROXY", "a:1"), ("https_proxy", "b:2")], ["http://a:1", "http://b:2", ""]),
            (&[("http_proxy", "low:1"), ("HTTP_PROXY", "up:2")], ["http://low:1", "-", ""]),
            (&[("no_proxy", "low"), ("NO_PROXY", "up"), ("all_proxy", "a:1")], ["http://a:1", "http://a:1", "low"]),
            (&[("http_proxy", " "), ("HTTP_PROXY", "up:2"), ("NO_PROXY", "*")], ["http://up:2", "-", "*"]),
            (&[("no_proxy", "10.0.0.0/99, ok.test")], ["-", "-", "ok.test"]),
        ] {
            assert_eq!(rules(variables).unwrap(), wanted, "{variables:?}");
        }
    }

    #[test]
    fn item_12_http_proxy_is_not_read_in_a_cgi_program() {
        let cgi = ("REQUEST_METHOD", "GET");
        assert_eq!(rules(&[("HTTP_PROXY", "evil:1"), cgi]).unwrap()[0], "-");
        assert_eq!(rules(&[("HTTP_PROXY", "evil:1"), ("REQUEST_METHOD", "")]).unwrap()[0], "-");
        assert_eq!(rules(&[("http_proxy", "good:1"), ("HTTP_PROXY", "evil:1"), cgi]).unwrap()[0], "http://good:1");
        assert_eq!(rules(&[("HTTP_PROXY", "evil:1"), ("all_proxy", "good:1"), cgi]).unwrap()[0], "http://good:1");
    }

    #[test]
    fn a_bad_variable_is_named_and_its_secrets_are_not_told() {
        let error = rules(&[("https_proxy", "gopher://me:sesame@proxy")]).unwrap_err().to_string();
        assert!(error.contains("https_proxy") && error.contains("gopher") && !error.contains("sesame"), "{error}");
    }
}
