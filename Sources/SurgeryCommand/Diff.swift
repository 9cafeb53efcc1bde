import ArgumentParser
import CommandLineSupport
import Formats
import Models
import Surgery

struct Diff: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Tells what two models differ in: tensors, configuration, tokenizer.",
        discussion: """
            Tensors are compared by their bytes: the same, moved (the bytes of a tensor that is called otherwise), changed \
            (with norms), new, gone. Memory does not grow with the models.
            """)

    @Argument(help: "A model: a folder, or a file of weights.")
    var first: String

    @Argument(help: "Another one.")
    var second: String

    @Flag(help: "Print one JSON object on standard output.")
    var json = false

    func run() throws {
        try runReportingErrors {
            let difference = try compare()
            if json { printJSON(object(difference)) } else { report(table(difference).description) }
        }
    }

    private func compare() throws -> ModelDifference {
        let (old, new) = (try Checkpoint.openModel(first), try Checkpoint.openModel(second))
        Interruption.watch()
        var line = ProgressLine()
        let meter = ProgressMeter()
        defer { line.clear() }
        return try ModelDifference(from: old, to: new, isCancelled: { Interruption.signal != nil }) {
            line.update("comparing \(meter.bytes(done: $0, of: $1))")
        }
    }

    /// How many of each kind are shown to people.
    private static let most = 12

    private func table(_ difference: ModelDifference) -> Table {
        var table = Table(columns: [("", .left), ("", .left)])
        table.add("tensors", "\(Units.grouped(difference.same.count)) are the same")
        func add(_ label: String, _ lines: [String]) {
            for (index, line) in lines.prefix(Self.most).enumerated() {
                table.add(index == 0 ? label : "", line)
            }
            if lines.count > Self.most {
                table.add("", "… \(lines.count - Self.most) more (--json lists all)")
            }
        }
        add("moved", difference.moved.map { "\($0.tensor) is \($0.from)" })
        add("changed", difference.changed.map(text))
        add("new", difference.new)
        add("gone", difference.gone)
        add("config.json", difference.configuration.map(\.description))
        add(
            "files",
            difference.files.changed.map { "\($0) differs" } + difference.files.new.map { "\($0) is new" }
                + difference.files.gone.map { "\($0) is gone" })
        if let tokens = difference.tokens, !tokens.isSame {
            table.add(
                "tokens",
                "\(tokens.new.count) new, \(tokens.gone.count) gone, \(tokens.moved) with another id")
        }
        if difference.isSame { table.add("in all", "nothing differs") }
        return table
    }

    private func text(_ change: ModelDifference.Change) -> String {
        var parts: [String] = []
        if change.types[0] != change.types[1] {
            parts.append("\(change.types[0].rawValue) → \(change.types[1].rawValue)")
        }
        if change.shapes[0] != change.shapes[1] { parts.append("\(change.shapes[0]) → \(change.shapes[1])") }
        if let norms = change.norms {
            let rows = change.shapes[0] == change.shapes[1] ? "" : "in the \(norms.rows) rows of both "
            parts.append(
                "\(rows)‖Δ‖ \(Units.fixed(norms.difference, digits: 4)), ‖before‖ \(Units.fixed(norms.before, digits: 4)), "
                    + "‖after‖ \(Units.fixed(norms.after, digits: 4))")
        }
        return "\(change.tensor): \(parts.joined(separator: "; "))"
    }

    private func object(_ difference: ModelDifference) -> JSON {
        func list(_ names: [String]) -> JSON { .array(names.map { .string($0) }) }
        return [
            "first": .string(first), "second": .string(second), "same": .bool(difference.isSame),
            "tensors": [
                "same": list(difference.same),
                "moved": .array(
                    difference.moved.map { ["tensor": .string($0.tensor), "from": .string($0.from)] }),
                "changed": .array(difference.changed.map(changeObject)), "new": list(difference.new),
                "gone": list(difference.gone),
            ],
            "configuration": .array(
                difference.configuration.map {
                    ["key": .string($0.key), "before": $0.before ?? .null, "after": $0.after ?? .null]
                }),
            "files": [
                "changed": list(difference.files.changed), "new": list(difference.files.new),
                "gone": list(difference.files.gone),
            ],
            "tokens": difference.tokens.map {
                ["new": list($0.new), "gone": list($0.gone), "moved": JSON($0.moved)]
            } ?? .null,
        ]
    }

    private func changeObject(_ change: ModelDifference.Change) -> JSON {
        func shape(_ index: Int) -> JSON { .array(change.shapes[index].map { JSON($0) }) }
        return [
            "tensor": .string(change.tensor), "type_before": .string(change.types[0].rawValue),
            "type_after": .string(change.types[1].rawValue), "shape_before": shape(0),
            "shape_after": shape(1),
            "norms": change.norms.map {
                [
                    "rows": JSON($0.rows), "before": JSON($0.before), "after": JSON($0.after),
                    "difference": JSON($0.difference),
                ]
            } ?? .null,
        ]
    }
}
