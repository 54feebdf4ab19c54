#!/bin/sh
# A real Apache Kafka on loopback, without Docker: one node, broker and controller (KRaft). Runs in the foreground;
# Ctrl-C or SIGTERM stops it. Needs a JDK 17 or newer and Maven. Ports by KAFKA_PORT (9092) and the next one; clients are
# sent to KAFKA_ADVERTISED_PORT where a proxy of a test is in front. `run.sh fetch` fetches it and does no more.
set -euf
here=$(cd "$(dirname "$0")" && pwd)
cache=${KAFKA_CACHE:-$here/../../.cache/kafka}
state=${KAFKA_STATE:-$here/../../var/kafka}
port=${KAFKA_PORT:-9092}
for program in java mvn; do
    command -v $program >/dev/null 2>&1 || { echo "make kafka needs $program (Debian: apt-get install default-jdk-headless maven)" >&2; exit 1; }
done
if [ ! -f "$cache/.complete" ]; then
    echo "fetching Kafka (once)"
    mkdir -p "$cache"
    mvn -q -f "$here/pom.xml" dependency:copy-dependencies -DoutputDirectory="$(cd "$cache" && pwd)/jars"
    touch "$cache/.complete"
fi
[ "${1:-}" != fetch ] || exit 0
mkdir -p "$state"
state=$(cd "$state" && pwd)
cat > "$state/server.properties" <<PROPERTIES
process.roles=broker,controller
node.id=1
controller.quorum.bootstrap.servers=127.0.0.1:$((port + 1))
listeners=PLAINTEXT://127.0.0.1:$port,CONTROLLER://127.0.0.1:$((port + 1))
advertised.listeners=PLAINTEXT://127.0.0.1:${KAFKA_ADVERTISED_PORT:-$port}
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs=$state/data
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
share.coordinator.state.topic.num.partitions=1
group.initial.rebalance.delay.ms=0
log.cleaner.dedupe.buffer.size=10485760
auto.create.topics.enable=false
PROPERTIES
cat > "$state/log4j2.properties" <<'PROPERTIES'
rootLogger.level=warn
rootLogger.appenderRef.out.ref=out
appender.out.type=Console
appender.out.name=out
appender.out.layout.type=PatternLayout
appender.out.layout.pattern=%d %p %c: %m%n
PROPERTIES
java="java -Xmx512m -XX:+UseSerialGC -cp $cache/jars/* -Dlog4j2.configurationFile=$state/log4j2.properties"
if [ ! -f "$state/data/meta.properties" ]; then
    id=$($java kafka.tools.StorageTool random-uuid)
    $java kafka.tools.StorageTool format --standalone -t "$id" -c "$state/server.properties"
fi
echo "Kafka on 127.0.0.1:$port (data in $state); Ctrl-C stops it."
exec $java kafka.Kafka "$state/server.properties"
