import Foundation
import Formats
import TestSupport
import Testing

@Suite struct SelectCommandTests {
    let folder: TemporaryFolder

    init() throws {
        folder = try TemporaryFolder()
        try folder.write(
            "a.jsonl", "{\"text\": \"one two three\"}\n{\"text\": \"one\"}\n{\"text\": \"one two three\"}\n")
    }

    private func select(_ arguments: String...) throws -> CommandRun {
        try CommandRun(["select"] + arguments, of: "trainer", in: folder.url)
    }

    /// What is read is not replaced, by whatever name or link it is called.
    @Test func theOutputIsNoneOfTheFiles() throws {
        let before = try folder.bytes("a.jsonl")
        let files = FileManager.default
        try files.createSymbolicLink(atPath: folder.path("link.jsonl"), withDestinationPath: "a.jsonl")
        try files.linkItem(atPath: folder.path("a.jsonl"), toPath: folder.path("hard.jsonl"))
        for output in ["a.jsonl", "link.jsonl", "hard.jsonl"] {
            let run = try select("a.jsonl", "-o", output, "--force")
            #expect(
                run.code == 64 && run.messages.contains("is one of the files that are read"),
                "\(run.messages)")
        }
        #expect(try folder.bytes("a.jsonl") == before)
        #expect(try folder.names() == ["a.jsonl", "hard.jsonl", "link.jsonl"])
    }

    @Test func choosesAndExplains() throws {
        let run = try select(
            "a.jsonl", "-o", "out.jsonl", "--rules", "none", "--rule", "gopher_short_doc=2", "--json")
        #expect(run.code == 0, "\(run.messages)")
        let report = try run.json()
        #expect(report["documents"]?.int == 3 && report["kept"]?.int == 1)
        #expect(
            try String(decoding: folder.bytes("out.jsonl"), as: UTF8.self)
                == "{\"text\": \"one two three\"}\n")
        let why = try select("-o", "out.jsonl", "--explain", "a.jsonl:2", "--json").json()
        #expect(
            why["reason"]?.string == "gopher_short_doc" && why["least"]?.double == 2
                && why["score"]?.double == 1)
        let way = try select("-o", "out.jsonl", "--explain", "2")
        #expect(
            way.messages.contains(
                "document 2, a.jsonl, line 3: dropped by duplicate_document, score 1.0000, equals document 0")
        )
        #expect(way.messages.contains("which is document 0, a.jsonl, line 1: kept"))
        let all = try select("-o", "out.jsonl", "--explain", "all").output.split(separator: "\n")
        #expect(all.count == 3)
    }

    /// A percentage where a share is meant would drop nothing.
    @Test(arguments: [
        ("dup_line_frac=30", "dup_line_frac goes by a share, 0 to 1, as in dup_line_frac=0.3, not 30"),
        ("list_ratio=-1", "list_ratio goes by a number from 0 on, as in list_ratio=0.3, not -1"),
    ]) func aRulesNumberIsOneThatCanBe(rule: String, message: String) throws {
        let run = try select("a.jsonl", "-o", "out.jsonl", "--rule", rule)
        #expect(run.code == 64 && run.messages.contains("--rule \(message)"), "\(run.messages)")
        #expect(try folder.names() == ["a.jsonl"])
    }

    @Test func makesTextOfTriples() throws {
        try folder.write("facts.tsv", "서울\tcapital\t대한민국\r\n도쿄\tcapital\t일본\r\n")
        try folder.write("t.yaml", "capital: '{subject:은/는} {object}의 수도이다.'\n")
        let run = try select(
            "a.jsonl", "-o", "out.jsonl", "--rules", "none", "--triples", "facts.tsv", "--templates",
            "t.yaml",
            "--synthetic-cap", "0.9", "--json")
        #expect(run.code == 0, "\(run.messages)")
        let report = try run.json()
        #expect(report["kept"]?.int == 4 && report["triples"]?["triples"]?.int == 2)
        let made = report["synthetic"]?.array?.first
        #expect(made?["name"]?.string == "triples" && made?["kept"]?.int == 2)
        let lines = try String(decoding: folder.bytes("out.jsonl"), as: UTF8.self).split(separator: "\n")
        #expect(
            lines.last
                == #"{"text":"도쿄는 일본의 수도이다.","synthetic":"triples","subject":"도쿄","triples":1}"#)
        let why = try select("-o", "out.jsonl", "--explain", "facts.tsv:2")
        #expect(
            why.messages.contains("document 4, facts.tsv, line 2: synthetic (triples), kept"),
            "\(why.messages)")
        let again = try select("out.jsonl", "-o", "less.jsonl", "--rules", "none", "--synthetic-cap", "0.1")
        #expect(again.messages.contains("synthetic, triples: 0 of 2 documents kept, 0.00 % of the text"))
    }

    @Test func choosesByWords() throws {
        try folder.write("task.jsonl", "{\"q\": \"one two\"}\n")
        let run = try select(
            "a.jsonl", "-o", "out.jsonl", "--rules", "none", "--by", "ngrams", "--to", "task.jsonl",
            "--to-key", "q",
            "--budget", "14B", "--json")
        #expect(run.code == 0, "\(run.messages)")
        let choice = try run.json()["choice"]
        #expect(choice?["candidates"]?.int == 2 && choice?["chosen"]?.int == 1 && choice?["taken"]?.int == 3)
        let why = try select("-o", "out.jsonl", "--explain", "0")
        #expect(why.messages.contains("dropped by not_chosen, rank 2, ngrams -"), "\(why.messages)")
        let kept = try select("-o", "out.jsonl", "--explain", "1", "--json").json()
        #expect(kept["rank"]?.int == 1 && kept["kept"]?.bool == true && kept["ngrams"]?.double != nil)
    }

    @Test(arguments: [
        ["a.jsonl", "-o", "o.jsonl", "--rule", "nothing=1"], ["a.jsonl", "-o", "o.jsonl", "--rules", "best"],
        ["a.jsonl", "-o", "o.jsonl", "--script", "elvish=0.5"], ["-o", "o.jsonl", "--triples", "a.tsv"],
        ["a.jsonl", "-o", "o.jsonl", "--templates", "t.yaml"],
        ["a.jsonl", "-o", "o.jsonl", "--wordings", "2"],
        ["a.jsonl", "-o", "o.jsonl", "--synthetic-cap", "1.5"], ["a.jsonl", "-o", "o.jsonl", "--seed", "1"],
        ["a.jsonl", "-o", "o.jsonl", "--script", "hangul=2"],
        ["a.jsonl", "-o", "o.jsonl", "--boilerplate", "1"],
        ["a.jsonl", "-o", "o.jsonl", "--against-share", "0.5"],
        ["a.jsonl", "-o", "o.jsonl", "--by", "ngrams", "--share", "0.5"],
        ["a.jsonl", "-o", "task/o.jsonl", "--by", "ngrams", "--share", "0.5", "--to", "task"],
        ["a.jsonl", "-o", "task/o.jsonl", "--against", "task"],
        ["a.jsonl", "-o", "o.jsonl", "--by", "similarity", "--share", "0.5", "--to", "a.jsonl"],
        ["a.jsonl", "-o", "o.jsonl", "--by", "ngrams", "--to", "a.jsonl"],
        ["a.jsonl", "-o", "o.jsonl", "--since", "2024"], ["a.jsonl", "-o", "o.jsonl", "--date-field", "d"],
        ["a.jsonl", "-o", "o.jsonl", "--date-field", "d", "--since", "May 2024"],
        ["a.jsonl", "-o", "o.jsonl", "--date-field", "d", "--since", "2024-02-30"],
        ["a.jsonl", "-o", "o.jsonl", "--date-field", "d", "--since", "2024", "--until", "2023"],
        ["a.jsonl", "-o", "o.jsonl", "--date-field", "d", "--half-life", "100"],
        ["a.jsonl", "-o", "o.jsonl", "--date-field", "d", "--half-life", "0", "--share", "0.5"],
        ["a.jsonl", "-o", "o.jsonl", "--sample", "--share", "0.5", "--clusters", "3"],
        ["a.jsonl", "-o", "o.jsonl", "--topic-field", "t"],
        ["a.jsonl", "-o", "o.jsonl", "--sample", "--share", "0.5", "--tags-field", "t"],
        ["a.jsonl", "-o", "o.jsonl", "--by", "ngrams", "--to", "a.jsonl", "--share", "0.5", "--mmr", "0.5"],
        ["a.jsonl", "-o", "o.jsonl", "--by", "perplexity", "--model", "m", "--share", "0.5", "--mmr", "2"],
        [
            "a.jsonl", "-o", "o.jsonl", "--by", "perplexity", "--model", "m", "--share", "0.5", "--mmr", "1",
            "--sample",
        ],
        ["a.jsonl", "-o", "o.jsonl", "--topic-field", "t", "--share", "0.5"],
        ["a.jsonl", "-o", "o.jsonl", "--share", "0.5"], ["a.jsonl", "-o", "o.jsonl", "--sample"],
        ["a.jsonl", "-o", "o.jsonl", "--by", "perplexity", "--share", "0.5"],
        ["a.jsonl", "-o", "o.jsonl", "--by", "ngrams", "--to", "a.jsonl", "--share", "0.5", "--seed", "1"],
        ["a.jsonl", "-o", "o.jsonl", "--to", "a.jsonl"],
        ["a.jsonl", "-o", "o.jsonl", "--by", "ngrams", "--to", "a.jsonl", "--share", "1.5"],
        ["a.jsonl", "-o", "o.jsonl", "--by", "ngrams", "--to", "a.jsonl", "--share", "1", "--budget", "1kB"],
        ["a.jsonl", "-o", "o.jsonl", "--by", "ngrams", "--to", "a.jsonl", "--budget", "5 tokens"],
        ["a.jsonl", "-o", "o.jsonl", "--by", "ngrams", "--to", "a.jsonl", "--share", "1", "--model", "m"],
        ["a.jsonl", "-o", "o.jsonl", "--by", "ngrams", "--by", "ngrams", "--to", "a.jsonl", "--share", "1"],
        ["a.jsonl", "-o", "o.jsonl", "--plain-text"], ["-o", "o.jsonl"], ["a.jsonl", "-o", "a.jsonl"],
    ])
    func refusesWhatCannotBe(arguments: [String]) throws {
        try FileSystem.create(folder.path("task"))
        try folder.write(
            "task/t.jsonl", #"{"text": "A passage of a dozen words is long enough to be looked for here."}"#)
        let run = try CommandRun(["select"] + arguments, of: "trainer", in: folder.url)
        #expect(run.code == 64, "\(run.messages)")
        #expect(try folder.names("task") == ["t.jsonl"])
        #expect(!FileSystem.exists(folder.path("o.jsonl")))
    }
}
