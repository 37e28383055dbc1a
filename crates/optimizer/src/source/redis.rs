//! Reads what AIBrix's gateway and tools leave in Redis: texts under exact keys. Must not know what the texts say.
//!
//! Keys are asked for by name and never searched for by pattern: a trace's is that of its ten seconds, a profile's that of its
//! deployment. So a model whose name begins like another's, or has a pattern's characters in it, is no trouble, and a large
//! database is not walked through.

use crate::config::RedisConfig;
use anyhow::Context;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, IntoConnectionInfo, Pipeline};
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

/// To connect, and for an answer.
const DEADLINE: Duration = Duration::from_secs(3);
/// A trace of a thousand sizes has 15 kB, a profile of the largest grids some 100 kB.
const MAX_VALUE_BYTES: usize = 1 << 20;
/// Keys of one question.
const MAX_KEYS: usize = 400;

/// One Redis.
#[derive(Debug)]
pub(crate) struct Redis {
    client: Client,
    connection: Mutex<Link>,
}

/// The connection, or when it was found that none can be had.
#[derive(Debug, Default)]
struct Link {
    up: Option<MultiplexedConnection>,
    silent_since: Option<Instant>,
}

impl Redis {
    /// Knows where Redis is; connects when something is asked. Fails for an address that is none.
    pub(crate) fn new(config: &RedisConfig) -> anyhow::Result<Self> {
        // The library's error may show the address, and that a password.
        let info = config.url.as_str().into_connection_info();
        let info = info.map_err(|error| anyhow::anyhow!("redis.url: is no address: {}", error.category()))?;
        let password = std::env::var(&config.password_variable).ok().filter(|password| !password.is_empty());
        let info = match password {
            Some(password) => {
                let settings = info.redis_settings().clone().set_password(password);
                info.set_redis_settings(settings)
            }
            None => info,
        };
        let client =
            Client::open(info).map_err(|error| anyhow::anyhow!("{}", error.category())).context("redis.url")?;
        Ok(Self { client, connection: Mutex::default() })
    }

    /// The texts under the keys, in their order; none where there is nothing. One round trip.
    pub(crate) async fn texts(&self, keys: &[String]) -> Result<Vec<Option<String>>, String> {
        let mut texts = Vec::with_capacity(keys.len());
        for keys in keys.chunks(MAX_KEYS) {
            let mut pipeline = redis::pipe();
            for key in keys {
                pipeline.cmd("GETRANGE").arg(key).arg(0).arg(MAX_VALUE_BYTES);
            }
            let found: Vec<Vec<u8>> = self.ask(&pipeline).await?;
            if found.len() != keys.len() {
                return Err(format!("{} answers to {} questions", found.len(), keys.len()));
            }
            texts.extend(found.iter().map(|bytes| text(bytes)));
        }
        Ok(texts)
    }

    async fn ask(&self, pipeline: &Pipeline) -> Result<Vec<Vec<u8>>, String> {
        let mut connection = self.connected().await?;
        let answer = timeout(DEADLINE, pipeline.query_async(&mut connection)).await;
        match answer {
            Ok(Ok(found)) => Ok(found),
            Ok(Err(error)) => {
                // A command that is refused says nothing against the connection.
                if error.is_io_error() || error.is_connection_dropped() || error.is_timeout() {
                    self.drop_connection().await;
                }
                Err(error.to_string())
            }
            Err(_) => {
                self.drop_connection().await;
                Err(format!("no answer within {} s", DEADLINE.as_secs()))
            }
        }
    }

    /// The connection, made anew where there is none. All models share it; one at a time connects.
    async fn connected(&self) -> Result<MultiplexedConnection, String> {
        let mut link = self.connection.lock().await;
        if let Some(connection) = &link.up {
            return Ok(connection.clone());
        }
        let silent = || format!("no connection within {} s", DEADLINE.as_secs());
        // Else each of many models would wait out a host that does not answer, one after the other.
        if link.silent_since.is_some_and(|since| since.elapsed() < DEADLINE) {
            return Err(silent());
        }
        let config =
            AsyncConnectionConfig::new().set_connection_timeout(Some(DEADLINE)).set_response_timeout(Some(DEADLINE));
        let made = timeout(DEADLINE, self.client.get_multiplexed_async_connection_with_config(&config)).await;
        let timed_out = made.as_ref().map_or(true, |made| made.as_ref().is_err_and(redis::RedisError::is_timeout));
        link.silent_since = timed_out.then(Instant::now);
        let made = made.map_err(|_| silent())?.map_err(|error| format!("cannot connect: {error}"))?;
        link.up = Some(made.clone());
        Ok(made)
    }

    async fn drop_connection(&self) {
        self.connection.lock().await.up = None;
    }
}

/// A value's text; none for what is not there, which Redis gives as empty. What is no text, or was cut off, is no JSON either, and
/// its reader says so.
fn text(bytes: &[u8]) -> Option<String> {
    if bytes.len() > MAX_VALUE_BYTES {
        return Some(format!("a value of more than {MAX_VALUE_BYTES} bytes"));
    }
    (!bytes.is_empty()).then(|| String::from_utf8_lossy(bytes).into_owned())
}

/// Keys under which a profile of a deployment may be, as `aibrix_gen_profile` names them.
pub(crate) fn profile_keys(model: &str, deployment: &crate::fleet::Deployment) -> Vec<String> {
    let names = [Some(deployment.name.clone()), Some(deployment.key()), deployment.gpu.clone()];
    let mut keys: Vec<String> =
        names.into_iter().flatten().map(|name| format!("aibrix:profile_{model}_{name}")).collect();
    keys.dedup();
    keys
}
