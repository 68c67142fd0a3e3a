//! References to container images in ECR, as far as something follows from where an image lies.

/// An image in a repository of ECR: `<account>.dkr.ecr.<region>.amazonaws.com/<repository>:<tag>`, or `@<digest>` in place of the
/// tag. Without either it is the tag `latest`, as for every registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EcrImage<'a> {
    /// The account of the registry.
    pub account: &'a str,
    /// The region of the registry.
    pub region: &'a str,
    /// The repository.
    pub repository: &'a str,
    /// Which image of the repository.
    pub version: ImageVersion<'a>,
}

/// Which image of a repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImageVersion<'a> {
    /// The one that has a tag.
    Tag(&'a str),
    /// The one with a digest: `sha256:…`.
    Digest(&'a str),
}

impl<'a> EcrImage<'a> {
    /// Takes a reference apart; none when it is to an image elsewhere.
    pub fn parse(image: &'a str) -> Option<Self> {
        let (host, path) = image.split_once('/')?;
        let (account, rest) = host.split_once(".dkr.ecr.")?;
        let (region, _) = rest.split_once(".amazonaws.com")?;
        let (named, digest) = path.split_once('@').map_or((path, None), |(named, digest)| (named, Some(digest)));
        let (repository, tag) = named.split_once(':').map_or((named, None), |(name, tag)| (name, Some(tag)));
        let version = match (digest, tag) {
            (Some(digest), _) => ImageVersion::Digest(digest),
            (None, Some(tag)) => ImageVersion::Tag(tag),
            (None, None) => ImageVersion::Tag("latest"),
        };
        Some(Self { account, region, repository, version })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_in_ecr_is_taken_apart_and_others_are_left_alone() {
        let host = "123456789012.dkr.ecr.eu-central-1.amazonaws.com";
        let of =
            |version| EcrImage { account: "123456789012", region: "eu-central-1", repository: "team/train", version };
        for (rest, version) in [
            ("team/train:1.2", ImageVersion::Tag("1.2")),
            ("team/train", ImageVersion::Tag("latest")),
            ("team/train@sha256:0a", ImageVersion::Digest("sha256:0a")),
            ("team/train:1.2@sha256:0a", ImageVersion::Digest("sha256:0a")),
        ] {
            assert_eq!(EcrImage::parse(&format!("{host}/{rest}")), Some(of(version)), "{rest}");
        }
        for other in ["python:3.12", "ghcr.io/team/train:1", "public.ecr.aws/lambda/python:3.12"] {
            assert_eq!(EcrImage::parse(other), None, "{other}");
        }
    }
}
