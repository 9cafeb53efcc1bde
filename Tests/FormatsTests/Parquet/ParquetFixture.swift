import Foundation
import Formats

/// The rows of the files in `Fixtures/Parquet`, by the rule that `Scripts/fixtures/parquet.py` follows.
enum ParquetFixture {
    static let folder = Bundle.module.resourcePath.map { $0 + "/Fixtures/Parquet" } ?? ""
    /// The same rows, written in different ways.
    static let names = ["plain", "dictionary-snappy", "dictionary-zstd-v2", "deltas-gzip-v2", "deltas-zstd"]
    static let rowCount = 120

    static func path(_ name: String) -> String { "\(folder)/\(name).parquet" }

    static func bytes(_ name: String) throws -> [UInt8] {
        [UInt8](try Data(contentsOf: URL(filePath: path(name))))
    }

    static func text(_ row: Int) -> String {
        row % 10 == 3 ? "" : String(repeating: "row \(row / 3) 가é\n", count: 1 + row % 4)
    }

    static func maybe(_ row: Int) -> String? { row % 7 == 2 ? nil : text(row) }

    /// The columns of plain values.
    static let columns = [
        "text", "maybe", "data.body", "blob", "small", "short", "long", "positive", "huge", "float", "double",
        "flag", "day", "at", "nothing",
    ]

    /// Their values in a row.
    static func values(_ row: Int) -> [ParquetValue] {
        func bytes(_ text: String) -> ParquetValue { .bytes(Array(text.utf8)[...]) }
        return [
            bytes(text(row)), maybe(row).map(bytes) ?? .null, row % 11 == 5 ? .null : bytes("body \(row)"),
            bytes("blob \(row)"), .integer(row - 60), .integer(row * 7919 - 500_000),
            row % 5 == 1 ? .null : .integer((row - 60) << 56), .unsigned(UInt(UInt32.max) - UInt(row)),
            .unsigned(.max - UInt(row)), .number(Double(row) / 4), .number(Double(row) / 3),
            .boolean(row % 3 == 0), .integer(row), .integer(row * 1_000_003), .null,
        ]
    }
}
