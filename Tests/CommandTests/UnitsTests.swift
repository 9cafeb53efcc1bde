import CommandLineSupport
import Formats
import Testing

@Suite("Units")
struct UnitsTests {
    @Test(arguments: [
        (0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (1_400_000_000, "1.4 GB"), (999_949_999, "999.9 MB"),
        (999_950_000, "1.0 GB"), (5_000_000_000, "5.0 GB"), (-2_500_000, "-2.5 MB"),
    ])
    func bytes(count: Int, text: String) {
        #expect(Units.bytes(count) == text)
    }

    @Test(arguments: [
        (8192, "8192"), (134_515_008, "134.5 M"), (10_731_524_096, "10.73 B"), (7_241_732_096, "7.242 B"),
        (49_152, "49.15 k"),
    ])
    func count(count: Int, text: String) {
        #expect(Units.count(count) == text)
    }

    @Test(arguments: [
        (0, "0"), (999, "999"), (1000, "1,000"), (10_731_524_096, "10,731,524,096"), (-1234, "-1,234"),
    ])
    func grouped(number: Int, text: String) {
        #expect(Units.grouped(number) == text)
    }

    @Test(arguments: [
        (0.04, "0.0 s"), (9.96, "10.0 s"), (42.4, "42 s"), (185, "3 min 5 s"), (7620, "2 h 7 min"),
        (.infinity, "unknown"),
    ])
    func duration(seconds: Double, text: String) {
        #expect(Units.duration(seconds: seconds) == text)
    }

    @Test(arguments: [
        (1.3277, 4, "1.3277"), (0.05, 1, "0.1"), (0.049, 1, "0.0"), (-0.01, 1, "0.0"), (-2.25, 1, "-2.3"),
        (3, 0, "3"),
    ])
    func fixed(value: Double, digits: Int, text: String) {
        #expect(Units.fixed(value, digits: digits) == text)
    }

    @Test(arguments: [
        ("5GB", 5_000_000_000), ("300 MB", 300_000_000), ("1.5GiB", 1_610_612_736), ("1000000", 1_000_000),
        ("2k", 2000), ("1b", 1),
    ])
    func size(text: String, bytes: Int) {
        #expect(ByteSize(argument: text)?.bytes == bytes)
    }

    @Test(arguments: ["", "GB", "-5GB", "0", "0.2b", "5 XB", "1e9", "1.2.3GB", "99999999999TB", "٣GB"])
    func refusedSize(text: String) {
        #expect(ByteSize(argument: text) == nil)
    }
}

@Suite("Table")
struct TableTests {
    @Test func alignsItsColumns() {
        var table = Table(columns: [("tensor", .left), ("bytes", .right)])
        table.add("lm_head.weight", "1.0 MB")
        table.add("norm", "12 B")
        #expect(
            table.description == """
                tensor           bytes
                ──────────────  ──────
                lm_head.weight  1.0 MB
                norm              12 B
                """)
    }

    @Test func withoutNamesHasNoHeader() {
        var table = Table(columns: [("", .left), ("", .left)])
        table.add("layers", "32")
        table.add("family")
        #expect(table.description == "layers  32\nfamily")
    }
}
