// Makes, fills and reads topics by the Java client: what a test says of a broker's content must not come from the code under test.
//
//     java -cp 'lib/*' records.java create <brokers> <partitions> <topic>…
//     java -cp 'lib/*' records.java load   <brokers> <topic>          stdin: "<ms>\t<key>\t<value>" or "<ms>\t<key>\t<value>\t<partition>" a line; stdout: the count so far, now and then
//     java -cp 'lib/*' records.java dump   <brokers> <topic>          stdout: "<partition>\t<position>\t<key>\t<value>" a line, read_committed, up to the end as of now
//     java -cp 'lib/*' records.java ends   <brokers> <group> <topic>  stdout: "<partition>\t<committed>\t<end>" a line
import java.io.BufferedReader;
import java.io.BufferedWriter;
import java.io.InputStreamReader;
import java.io.OutputStreamWriter;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicReference;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.ListConsumerGroupOffsetsOptions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.TopicExistsException;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

class Records {
  public static void main(String[] args) throws Exception {
    Properties properties = new Properties();
    properties.put("bootstrap.servers", args[1]);
    switch (args[0]) {
      case "create" -> create(properties, Integer.parseInt(args[2]), Arrays.asList(args).subList(3, args.length));
      case "load" -> load(properties, args[2]);
      case "dump" -> dump(properties, args[2]);
      case "ends" -> ends(properties, args[2], args[3]);
      default -> throw new IllegalArgumentException("Cannot do \"" + args[0] + "\"");
    }
  }

  static void create(Properties properties, int partitions, List<String> names) throws Exception {
    try (Admin admin = Admin.create(properties)) {
      for (String name : names) {
        // Event times of long ago: with the broker's default such records are deleted in the middle of a test.
        NewTopic topic = new NewTopic(name, partitions, (short) 1).configs(Map.of("retention.ms", "-1"));
        try {
          admin.createTopics(List.of(topic)).all().get();
        } catch (ExecutionException error) {
          if (!(error.getCause() instanceof TopicExistsException)) throw error;
        }
      }
    }
  }

  static void load(Properties properties, String topic) throws Exception {
    properties.put("acks", "all");
    properties.put("enable.idempotence", "true");
    properties.put("linger.ms", "5");
    properties.put("batch.size", "131072");
    properties.put("buffer.memory", "134217728");
    // Longer than any broker is away in a test.
    properties.put("delivery.timeout.ms", "900000");
    properties.put("max.block.ms", "900000");
    properties.put("reconnect.backoff.max.ms", "500");
    AtomicLong acknowledged = new AtomicLong();
    AtomicReference<Exception> failure = new AtomicReference<>();
    long sent = 0;
    try (KafkaProducer<String, String> producer = new KafkaProducer<>(properties, new StringSerializer(), new StringSerializer())) {
      BufferedReader lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8), 1 << 16);
      for (String line = lines.readLine(); line != null && failure.get() == null; line = lines.readLine()) {
        String[] parts = line.split("\t", 4);
        Integer partition = parts.length > 3 ? Integer.valueOf(parts[3]) : null;
        producer.send(new ProducerRecord<>(topic, partition, Long.parseLong(parts[0]), parts[1], parts[2]), (metadata, error) -> {
          if (error == null) acknowledged.incrementAndGet();
          else failure.compareAndSet(null, error);
        });
        if (++sent % 10_000 == 0) System.out.println(acknowledged.get());
      }
      producer.flush();
    }
    if (failure.get() != null) throw failure.get();
    System.out.println(acknowledged.get());
  }

  static void dump(Properties properties, String topic) throws Exception {
    properties.put("isolation.level", "read_committed");
    properties.put("enable.auto.commit", "false");
    properties.put("max.poll.records", "20000");
    properties.put("fetch.max.bytes", "67108864");
    properties.put("max.partition.fetch.bytes", "8388608");
    BufferedWriter out = new BufferedWriter(new OutputStreamWriter(System.out, StandardCharsets.UTF_8), 1 << 20);
    try (KafkaConsumer<String, String> consumer = new KafkaConsumer<>(properties, new StringDeserializer(), new StringDeserializer())) {
      List<TopicPartition> partitions = partitionsOf(consumer, topic);
      consumer.assign(partitions);
      consumer.seekToBeginning(partitions);
      Map<TopicPartition, Long> ends = new HashMap<>(consumer.endOffsets(partitions));
      // The position also passes control records and aborted ones.
      while (!ends.isEmpty()) {
        ends.entrySet().removeIf(entry -> consumer.position(entry.getKey()) >= entry.getValue());
        for (ConsumerRecord<String, String> record : consumer.poll(Duration.ofMillis(200))) {
          out.write(record.partition() + "\t" + record.offset() + "\t" + record.key() + "\t" + record.value() + "\n");
        }
      }
    }
    out.flush();
  }

  static List<TopicPartition> partitionsOf(KafkaConsumer<?, ?> consumer, String topic) {
    List<TopicPartition> partitions = new ArrayList<>();
    consumer.partitionsFor(topic).forEach(info -> partitions.add(new TopicPartition(topic, info.partition())));
    return partitions;
  }

  static void ends(Properties properties, String group, String topic) throws Exception {
    try (Admin admin = Admin.create(properties)) {
      int count = admin.describeTopics(List.of(topic)).allTopicNames().get().get(topic).partitions().size();
      Map<TopicPartition, OffsetSpec> specs = new HashMap<>();
      for (int partition = 0; partition < count; partition++) specs.put(new TopicPartition(topic, partition), OffsetSpec.latest());
      var committed = admin.listConsumerGroupOffsets(group, new ListConsumerGroupOffsetsOptions().requireStable(true)).partitionsToOffsetAndMetadata().get();
      var last = admin.listOffsets(specs).all().get();
      for (int partition = 0; partition < count; partition++) {
        TopicPartition at = new TopicPartition(topic, partition);
        long position = committed.get(at) == null ? -1 : committed.get(at).offset();
        System.out.println(partition + "\t" + position + "\t" + last.get(at).offset());
      }
    }
  }
}
