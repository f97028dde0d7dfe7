import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.opensearch.common.settings.Settings;
import org.opensearch.node.InternalSettingsPreparer;
import org.opensearch.node.Node;
import org.opensearch.transport.Netty4Plugin;

/** An OpenSearch node on loopback. Arguments: the port for HTTP, the port for other nodes, the folder, then SETTING=VALUE. */
public class SearchServer extends Node {
  SearchServer(Settings settings) {
    super(
        InternalSettingsPreparer.prepareEnvironment(settings, Map.of(), null, () -> "search"),
        List.of(Netty4Plugin.class),
        false);
  }

  public static void main(String[] arguments) throws Exception {
    Settings.Builder settings =
        Settings.builder()
            .put("path.home", Files.createDirectories(Path.of(arguments[2])).toRealPath().toString())
            .put("cluster.name", "millrace-test")
            .put("node.name", "search")
            .put("network.host", "127.0.0.1")
            .put("http.port", arguments[0])
            .put("transport.port", arguments[1])
            .put("http.type", "netty4")
            .put("transport.type", "netty4")
            .put("discovery.type", "single-node")
            // Indexes would become read-only on a machine whose disk is nearly full.
            .put("cluster.routing.allocation.disk.threshold_enabled", false);
    for (String setting : List.of(arguments).subList(3, arguments.length)) {
      String[] parts = setting.split("=", 2);
      settings.put(parts[0], parts[1]);
    }
    SearchServer server = new SearchServer(settings.build());
    server.start();
    System.out.println("Search server started");
    Thread.currentThread().join();
  }
}
