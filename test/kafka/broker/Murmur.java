import java.util.HexFormat;
import java.util.Scanner;
import org.apache.kafka.common.utils.Utils;

/** Reads a key in hexadecimal from each line and prints what Kafka's own partitioner hashes it to. */
public class Murmur {
    public static void main(String[] arguments) {
        Scanner lines = new Scanner(System.in);
        while (lines.hasNextLine()) {
            byte[] key = HexFormat.of().parseHex(lines.nextLine());
            System.out.println(Utils.murmur2(key) + " " + Utils.toPositive(Utils.murmur2(key)));
        }
    }
}
