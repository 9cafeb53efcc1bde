import TestSupport
import Testing

@testable import Formats

private func configuration(_ text: String) throws -> Configuration {
    try Configuration(parsing: Array(text.utf8), file: "config.json")
}

private func text(_ configuration: Configuration) -> String {
    String(decoding: configuration.serialized(), as: UTF8.self)
}

@Suite struct ConfigurationTests {
    private let older = Dialects.older
    private let newer = Dialects.newer

    @Test func unchangedIsTheSameBytes() throws {
        for odd in [older, newer, "{\"a\":1,   \"b\" : [ ] }\n\n", "{}"] {
            #expect(try text(configuration(odd)) == odd)
        }
        var changed = try configuration(older)
        changed["num_hidden_layers"] = 48
        changed["num_hidden_layers"] = 32
        #expect(text(changed) == older)
    }

    @Test func anEditChangesWhatWasMeant() throws {
        var changed = try configuration(newer)
        changed["num_hidden_layers"] = 48
        #expect(
            text(changed) == newer.replacing("\"num_hidden_layers\": 32", with: "\"num_hidden_layers\": 48"))
        var indented = try configuration(older)
        indented["num_hidden_layers"] = 48
        #expect(text(indented).contains("\n    \"rms_norm_eps\": 1e-05,\n    \"rope_theta\": 1000000.0,"))
    }

    /// One line stays one line, with a line end or without.
    @Test(arguments: ["", "\n"]) func oneLineStaysOneLine(ending: String) throws {
        var changed = try configuration(#"{"a": 1, "b": [2, 3]}"# + ending)
        changed["a"] = 4
        #expect(text(changed) == #"{"a":4,"b":[2,3]}"# + ending)
    }

    @Test func settings() throws {
        let settings = try configuration(
            #"{"n": 3, "f": 1e-5, "t": true, "s": "x", "l": ["a", "b"], "z": null, "w": 4.0}"#)
        #expect(try settings.integer("n") == 3 && settings.integer("w") == 4 && settings.number("f") == 1e-5)
        #expect(
            try settings.flag("t") == true && settings.string("s") == "x"
                && settings.strings("l") == ["a", "b"])
        #expect(try settings.integer("z") == nil && settings.integer("none") == nil)
        #expect(throws: UserFacingError.missingKey(file: "config.json", key: "none")) {
            _ = try settings.requiredInteger("none")
        }
        let error = #expect(throws: UserFacingError.self) { _ = try settings.integer("s") }
        #expect(error?.description == "config.json: 's' is the string \"x\", and should be a whole number")
        #expect(throws: UserFacingError.self) { _ = try configuration(#"{"a": 1, "a": 2}"#) }
    }
}
