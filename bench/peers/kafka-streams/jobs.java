// J1, J2 and J3 as Kafka Streams programs: see bench/README.md for what they do.
//
//     java -cp '<lib>/*:<classes>' Jobs <J1|J2|J3> <brokers> <application id> <input> <output> <at_least_once|exactly_once_v2> <records> <results> <state directory> <commit ms>
//
// Prints "<records taken>\t<CPU us of the process>\t<ms since the start of the JVM>" lines while it runs, and "done\t…" once all results are acknowledged by the broker; ends when stdin does.
import com.fasterxml.jackson.databind.ObjectMapper;
import java.lang.management.ManagementFactory;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerInterceptor;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.serialization.Deserializer;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.serialization.Serializer;
import org.apache.kafka.common.serialization.StringSerializer;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.EmitStrategy;
import org.apache.kafka.streams.kstream.KStream;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.kstream.TimeWindows;
import org.apache.kafka.streams.state.WindowStore;

class Jobs {
  static final ObjectMapper json = new ObjectMapper();
  static final AtomicLong taken = new AtomicLong();
  static final AtomicLong acknowledged = new AtomicLong();

  public static class Reading {
    public long id;
    public String key;
    public long ts;
    public long value;
    public String site;
  }

  public record Doubled(long id, @com.fasterxml.jackson.annotation.JsonProperty("double") long twice) {}

  public record Sums(long n, long total) {}

  public record Window(long start, long n, long total) {}

  public static void main(String[] args) throws Exception {
    String job = args[0], brokers = args[1], application = args[2], input = args[3], output = args[4], guarantee = args[5];
    long records = Long.parseLong(args[6]), results = Long.parseLong(args[7]);
    Properties properties = new Properties();
    properties.put(StreamsConfig.APPLICATION_ID_CONFIG, application);
    properties.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, brokers);
    properties.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, guarantee);
    properties.put(StreamsConfig.STATE_DIR_CONFIG, args[8]);
    properties.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, 1);
    properties.put(StreamsConfig.REPLICATION_FACTOR_CONFIG, 1);
    properties.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, Long.parseLong(args[9]));
    // Every update is produced, none swallowed; J3 is cheaper so as well.
    properties.put(StreamsConfig.STATESTORE_CACHE_MAX_BYTES_CONFIG, 0);
    properties.put("auto.offset.reset", "earliest");
    properties.put("producer.interceptor.classes", Counting.class.getName());
    properties.put(Counting.TOPIC, output);

    StreamsBuilder builder = new StreamsBuilder();
    KStream<String, Reading> readings = builder.stream(input, Consumed.with(Serdes.String(), jsonOf(Reading.class))).peek((key, value) -> taken.incrementAndGet());
    switch (job) {
      case "J1" -> readings.filter((key, it) -> it.value % 2 == 0).mapValues(it -> new Doubled(it.id, it.value * 2)).to(output, Produced.with(Serdes.String(), jsonOf(Doubled.class)));
      case "J2" -> readings.groupByKey()
        .aggregate(() -> new Sums(0, 0), (key, it, sums) -> new Sums(sums.n + 1, sums.total + it.value), Materialized.with(Serdes.String(), sumsSerde()))
        .toStream().to(output, Produced.with(Serdes.String(), jsonOf(Sums.class)));
      case "J3" -> readings.groupByKey()
        .windowedBy(TimeWindows.ofSizeAndGrace(Duration.ofSeconds(10), Duration.ofSeconds(5)))
        .emitStrategy(EmitStrategy.onWindowClose())
        .aggregate(() -> new Sums(0, 0), (key, it, sums) -> new Sums(sums.n + 1, sums.total + it.value),
          // It looks for closed windows once a second: with the default of 15 s of event time those are lost that a full speed run has left behind by then.
          Materialized.<String, Sums, WindowStore<Bytes, byte[]>>with(Serdes.String(), sumsSerde()).withRetention(Duration.ofHours(1)))
        .toStream()
        // The records that only move the clock.
        .filter((window, sums) -> !window.key().equals("end"))
        .map((window, sums) -> new org.apache.kafka.streams.KeyValue<>(window.key(), new Window(window.window().start(), sums.n, sums.total)))
        .to(output, Produced.with(Serdes.String(), jsonOf(Window.class)));
      default -> throw new IllegalArgumentException("Cannot do \"" + job + "\": wanted J1, J2 or J3");
    }

    try (KafkaStreams streams = new KafkaStreams(builder.build(), properties)) {
      streams.setUncaughtExceptionHandler(error -> {
        error.printStackTrace();
        System.exit(1);
        return null;
      });
      streams.start();
      Nudge nudge = job.equals("J3") ? new Nudge(brokers, input, 1_700_000_020_000L + records) : null;
      while (acknowledged.get() < results) {
        print("");
        // What closes last may wait for one more record after a second of the wall clock.
        if (nudge != null && taken.get() >= records) nudge.send();
        Thread.sleep(20);
      }
      print("done\t");
      while (System.in.read() >= 0) {}
      if (nudge != null) nudge.producer.close();
    }
  }

  static void print(String what) {
    long cpuUs = ((com.sun.management.OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean()).getProcessCpuTime() / 1_000;
    System.out.println(what + taken.get() + "\t" + cpuUs + "\t" + ManagementFactory.getRuntimeMXBean().getUptime());
  }

  /** Sends a record of a key that nobody counts to each partition, twice a second. */
  static class Nudge {
    final KafkaProducer<String, String> producer;
    final String topic;
    long lastAt = 0;
    long ts;

    Nudge(String brokers, String topic, long ts) {
      this.ts = ts;
      this.producer = new KafkaProducer<>(Map.of("bootstrap.servers", brokers), new StringSerializer(), new StringSerializer());
      this.topic = topic;
    }

    void send() {
      if (System.currentTimeMillis() - lastAt < 500) return;
      lastAt = System.currentTimeMillis();
      ts += 1;
      for (var partition : producer.partitionsFor(topic)) {
        producer.send(new ProducerRecord<>(topic, partition.partition(), ts, "end", "{\"id\":-1,\"key\":\"end\",\"ts\":" + ts + ",\"value\":0}"));
      }
    }
  }

  /** Counts results that a broker has acknowledged. */
  public static class Counting implements ProducerInterceptor<byte[], byte[]> {
    static final String TOPIC = "producer.counting.topic";
    String topic;

    @Override public void configure(Map<String, ?> configs) {
      Object named = configs.get("counting.topic");
      topic = (String) (named == null ? configs.get(TOPIC) : named);
    }

    @Override public ProducerRecord<byte[], byte[]> onSend(ProducerRecord<byte[], byte[]> record) {
      return record;
    }

    @Override public void onAcknowledgement(RecordMetadata metadata, Exception error) {
      if (error == null && metadata.topic().equals(topic)) acknowledged.incrementAndGet();
    }

    @Override public void close() {}
  }

  static <T> Serde<T> jsonOf(Class<T> type) {
    var reader = json.readerFor(type);
    var writer = json.writerFor(type);
    Serializer<T> serializer = (topic, value) -> {
      try {
        return value == null ? null : writer.writeValueAsBytes(value);
      } catch (Exception error) {
        throw new IllegalStateException(error);
      }
    };
    Deserializer<T> deserializer = (topic, bytes) -> {
      try {
        return bytes == null ? null : reader.readValue(bytes);
      } catch (Exception error) {
        throw new IllegalStateException(error);
      }
    };
    return Serdes.serdeFrom(serializer, deserializer);
  }

  /** 16 bytes, so that the state is as cheap as it can be. */
  static Serde<Sums> sumsSerde() {
    Serializer<Sums> serializer = (topic, sums) -> sums == null ? null : ByteBuffer.allocate(16).putLong(sums.n).putLong(sums.total).array();
    Deserializer<Sums> deserializer = (topic, bytes) -> {
      if (bytes == null) return null;
      ByteBuffer buffer = ByteBuffer.wrap(bytes);
      return new Sums(buffer.getLong(), buffer.getLong());
    };
    return Serdes.serdeFrom(serializer, deserializer);
  }
}
