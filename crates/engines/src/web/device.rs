//! How a linked device presents itself to the phone: its name, its kind, how much of the past it wants.

use flowcore_domain::engine::{Browser, DeviceProfile};
use wacore::store::DevicePropsOverride;
use wacore::store::device::default_history_sync_config;
use waproto::whatsapp::device_props::{HistorySyncConfig, PlatformType};

/// How far back a phone is asked to tell: as far as WhatsApp's own program for Windows asks.
const FULL_HISTORY_DAYS: u32 = 365;

/// What the phone is told when it links this device; of a device that is linked already, nothing changes.
pub(super) fn announced(device: &DeviceProfile) -> DevicePropsOverride {
    let mut props = DevicePropsOverride::new().with_os(device.name.as_str());
    if device.full_history {
        // Phones give all of it to the program for Windows only: the four belong together.
        return props
            .with_platform_type(PlatformType::UWP)
            .with_require_full_sync(true)
            .with_history_sync_config(HistorySyncConfig {
                full_sync_days_limit: Some(FULL_HISTORY_DAYS),
                on_demand_ready: Some(true),
                complete_on_demand_ready: Some(true),
                ..default_history_sync_config()
            });
    }
    if let Some(browser) = device.browser {
        props = props.with_platform_type(match browser {
            Browser::Chrome => PlatformType::CHROME,
            Browser::Firefox => PlatformType::FIREFOX,
            Browser::Edge => PlatformType::EDGE,
            Browser::Opera => PlatformType::OPERA,
            Browser::Safari => PlatformType::SAFARI,
            Browser::Desktop => PlatformType::DESKTOP,
        });
    }
    props
}
