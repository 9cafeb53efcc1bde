import Testing

@testable import Formats

private func parse(_ text: String, duplicates: JSONDuplicates = .lastWins) throws(UserFacingError) -> JSON {
    try JSON(parsing: Array(text.utf8), file: "test.json", duplicates: duplicates)
}

private func text(_ value: JSON, indent: Int? = 2) -> String {
    String(decoding: value.serialized(indent: indent), as: UTF8.self)
}

@Suite struct JSONParsing {
    @Test(arguments: [
        "{}", "[]", "null", "true", "false", "\"\"", "0", "-0", "1e-05", "1E+2", "0.10", "-1.5e300",
        "18446744073709551616", #"{"b":1,"a":[true,null,{"":{}}],"é":"é"}"#,
        #"["\"\\\b\f\n\r\t\u0001\u001f"]"#, "[\"\u{7F}/한국어😀\"]",
    ])
    func compactTextRoundTrips(_ source: String) throws {
        #expect(text(try parse(source), indent: nil) == source)
    }

    /// Python writes three words that the standard does not have; they stay as they are spelled.
    @Test func wordsOfPythonAreNumbers() throws {
        let source = #"{"limit":[0.0,Infinity],"low":-Infinity,"none":NaN,"one":1.50}"#
        let value = try parse(source)
        #expect(value["limit"]?[1]?.double == .infinity && value["low"]?.double == -.infinity)
        #expect(value["none"]?.double?.isNaN == true && value["limit"]?[1]?.int == nil)
        #expect(text(value, indent: nil) == source)
        var configuration = try Configuration(
            parsing: Array("{\n    \"a\": Infinity,\n    \"b\": 1\n}".utf8), file: "c")
        configuration["b"] = 2
        #expect(
            String(decoding: configuration.serialized(), as: UTF8.self)
                == "{\n    \"a\": Infinity,\n    \"b\": 2\n}")
    }

    @Test func whiteSpaceIsSkipped() throws {
        #expect(try parse(" \t\r\n[ 1 , 2 ]\n") == [1, 2])
    }

    @Test func escapesAreResolved() throws {
        #expect(try parse(#""\u0041\/\ud83d\ude00\uD55c\u0000""#) == "A/😀한\0")
    }

    @Test func canonicallyEquivalentKeysStayApart() throws {
        let value = try parse("{\"e\u{301}\": 1, \"\u{E9}\": 2}")
        #expect(value.object?.count == 2)
        #expect(value["e\u{301}"] == 1)
        #expect(value["\u{E9}"] == 2)
        #expect(try parse("\"e\u{301}\"") != parse("\"\u{E9}\""))
    }

    @Test func nestingIsLimited() throws {
        let deepest = String(repeating: "[", count: 127) + String(repeating: "]", count: 127)
        _ = try parse(deepest)
        let error = #expect(throws: UserFacingError.self) {
            try parse(String(repeating: "[", count: 1_000_000))
        }
        #expect(
            error?.description
                == "test.json:1:128 (byte 127) is not valid JSON: found one more, "
                + "expected at most 127 levels of nesting")
    }

    @Test(
        arguments: [
            ("", #":1:1 (byte 0) is not valid JSON: found the end of the text, expected a value"#),
            ("[1,]", #":1:4 (byte 3) is not valid JSON: found "]", expected a value"#),
            ("{\"a\":1,}", #":1:8 (byte 7) is not valid JSON: found "}", expected a key in double quotes"#),
            ("{\"a\" 1}", #":1:6 (byte 5) is not valid JSON: found "1", expected ":" after the key "a""#),
            ("{a:1}", #":1:2 (byte 1) is not valid JSON: found "a", expected a key in double quotes"#),
            ("[1 2]", #":1:4 (byte 3) is not valid JSON: found "2", expected "," or "]""#),
            ("{\"a\":1 \"b\"}", #":1:8 (byte 7) is not valid JSON: found """, expected "," or "}""#),
            ("{} x", #":1:4 (byte 3) is not valid JSON: found "x", expected nothing after the value"#),
            (
                "{}\0",
                #":1:3 (byte 2) is not valid JSON: found the byte 0x00, expected nothing after the value"#
            ),
            ("\"é\n\"", #":1:3 (byte 3) is not valid JSON: found the end of the line, expected an escape"#),
            (
                "\n\n  \"a",
                #":3:5 (byte 6) is not valid JSON: found the end of the text, expected the string's"#
            ),
            (#""\x""#, #":1:3 (byte 2) is not valid JSON: found "x", expected one of"#),
            (#""\u12g4""#, #":1:6 (byte 5) is not valid JSON: found "g", expected four hexadecimal digits"#),
            (#""\ud83d!""#, #":1:2 (byte 1) is not valid JSON: found half a surrogate pair, \ud83d"#),
            (#""\ud83d\u0041""#, #":1:2 (byte 1) is not valid JSON: found half a surrogate pair, \ud83d"#),
            (#""\udc00""#, #":1:2 (byte 1) is not valid JSON: found half a surrogate pair, \udc00"#),
            ("01", #":1:2 (byte 1) is not valid JSON: found "1", expected no digit after a leading zero"#),
            ("-", #":1:2 (byte 1) is not valid JSON: found the end of the text, expected a digit"#),
            ("1.", #":1:3 (byte 2) is not valid JSON: found the end of the text, expected a digit"#),
            (".5", #":1:1 (byte 0) is not valid JSON: found ".", expected a value"#),
            ("+1", #":1:1 (byte 0) is not valid JSON: found "+", expected a value"#),
            ("1e", #":1:3 (byte 2) is not valid JSON: found the end of the text, expected a digit"#),
            ("nul", #":1:1 (byte 0) is not valid JSON: found "n", expected a value (null?)"#),
            ("[Nan]", #":1:2 (byte 1) is not valid JSON: found "N", expected a value (NaN?)"#),
            ("[-infinity]", #":1:3 (byte 2) is not valid JSON: found "i", expected a digit"#),
            ("[-Inf]", #":1:2 (byte 1) is not valid JSON: found "-", expected a value (-Infinity?)"#),
            ("'a'", #":1:1 (byte 0) is not valid JSON: found "'", expected a value"#),
            (
                "\u{FEFF}{}",
                #":1:1 (byte 0) is not valid JSON: found a byte order mark, expected JSON without"#
            ),
        ])
    func malformedTextIsRefused(_ source: String, _ message: String) {
        let error = #expect(throws: UserFacingError.self) { try parse(source) }
        #expect(
            error?.description.hasPrefix("test.json" + message) == true, "\(error?.description ?? "no error")"
        )
    }

    @Test(
        arguments: [
            [0x22, 0xFF, 0x22], [0x22, 0xC0, 0x80, 0x22], [0x22, 0xED, 0xA0, 0x80, 0x22], [0x22, 0xE2, 0x82],
            [0x22, 0xF4, 0x90, 0x80, 0x80, 0x22],
        ] as [[UInt8]])
    func bytesThatAreNotUTF8AreRefused(_ bytes: [UInt8]) {
        let error = #expect(throws: UserFacingError.self) { try JSON(parsing: bytes, file: "test.json") }
        #expect(
            error?.description.contains("byte 1) is not valid JSON: found bytes that are not UTF-8") == true)
    }

    @Test func everyPrefixOfATextIsRefused() throws {
        let source = Array(#"{"a":[1.5e-3,"\u00e9\ud83d\ude00",null,true,{"b":"é"}]}"#.utf8)
        _ = try JSON(parsing: source, file: "whole")
        for count in 0..<source.count {
            #expect(throws: UserFacingError.self) { try JSON(parsing: Array(source[..<count]), file: "cut") }
        }
    }

    @Test func missingFilesAndFoldersAreNamed() {
        let missing = #expect(throws: UserFacingError.self) { try JSON.read(path: "/nowhere/x") }
        #expect(missing?.description == "cannot open /nowhere/x: No such file or directory")
        #expect(missing?.fault == .input)
        let folder = #expect(throws: UserFacingError.self) { try JSON.read(path: "/") }
        #expect(folder?.description == "cannot open /: Is a directory")
    }
}

@Suite struct JSONDuplicateKeys {
    @Test func theLastWinsAtTheFirstOnesPlace() throws {
        #expect(text(try parse(#"{"a":1,"b":2,"a":3}"#), indent: nil) == #"{"a":3,"b":2}"#)
    }

    @Test func theyAreRefusedWithTheirPath() {
        let error = #expect(throws: UserFacingError.self) {
            try parse(#"{"x":[0,{"a":1,"b":2,"a":3}]}"#, duplicates: .refused)
        }
        #expect(
            error?.description == "test.json:1:22 (byte 21): \"x.1.a\" stands twice; remove one of the two")
    }

    @Test func theCallerChooses() throws {
        let duplicates = JSONDuplicates.refusedWhere { path, _ in path == ["__metadata__"] }
        #expect(
            try parse(#"{"a":1,"a":2,"b":{"__metadata__":1,"__metadata__":2}}"#, duplicates: duplicates)["a"]
                == 2)
        #expect(throws: UserFacingError.self) {
            try parse(#"{"__metadata__":null,"__metadata__":null}"#, duplicates: duplicates)
        }
    }
}

@Suite struct JSONWriting {
    @Test func layoutIsThatOfPython() {
        // json.dumps({"a": [], "b": {}, "c": [1, "é\n\u007f"], "d": {"e": None}}, indent=2, ensure_ascii=False)
        let value: JSON = ["a": [], "b": [:], "c": [1, "é\n\u{7F}"], "d": ["e": nil]]
        let expected = """
            {
              "a": [],
              "b": {},
              "c": [
                1,
                "é\\n\u{7F}"
              ],
              "d": {
                "e": null
              }
            }
            """
        #expect(text(value) == expected)
    }

    // Python 3.11: repr(value).
    @Test(
        arguments: [
            (0.0, "0.0"), (-0.0, "-0.0"), (1.0, "1.0"), (1e-05, "1e-05"), (0.0001, "0.0001"), (0.1, "0.1"),
            (1e15, "1000000000000000.0"), (1e16, "1e+16"), (1.2e16, "1.2e+16"), (123456.789, "123456.789"),
            (1e22, "1e+22"), (1.5e300, "1.5e+300"), (Double.leastNonzeroMagnitude, "5e-324"), (-2.5, "-2.5"),
            (1e-10, "1e-10"),
            (123456789012345680.0, "1.2345678901234568e+17"), (9007199254740993.0, "9007199254740992.0"),
            (0.00012345, "0.00012345"), (1.0 / 3, "0.3333333333333333"),
        ])
    func doublesAreSpelledAsPythonDoes(_ value: Double, _ spelling: String) {
        #expect(JSONNumber(value).text == spelling)
        #expect(JSONNumber(value).double == value)
    }

    @Test func whatIsNotFiniteBecomesNull() { #expect(JSON(Double.nan) == .null) }
}

@Suite struct JSONEditing {
    @Test func settingKeepsThePlace() throws {
        var value = try parse(#"{"a":1,"b":2.50,"c":3}"#)
        value["b"] = "x"
        value["d"] = .some(.null)
        value["a"] = nil
        #expect(text(value, indent: nil) == #"{"b":"x","c":3,"d":null}"#)
    }

    @Test func insertingMoves() {
        var object = JSONObject()
        for key in ["a", "b", "c"] { object[key] = 0 }
        object.insert("c", 1, at: 0)
        object.insert("z", 2, at: 99)
        #expect(object.keys == ["c", "a", "b", "z"])
    }

    @Test func valuesAreReadByKind() throws {
        let value = try parse(
            #"{"i":12,"d":1e-05,"s":"t","b":true,"n":null,"a":[7],"big":99999999999999999999}"#)
        #expect(value["i"]?.int == 12)
        #expect(value["d"]?.int == nil)
        #expect(value["d"]?.double == 1e-05)
        #expect(value["s"]?.string == "t")
        #expect(value["b"]?.bool == true)
        #expect(value["n"]?.isNull == true)
        #expect(value["a"]?[0]?.int == 7)
        #expect(value["a"]?[1] == nil)
        #expect(value["big"]?.int == nil)
        #expect(value["nothing"] == nil)
    }
}
