import Formats
import Foundation
import TestSupport
import Testing

@testable import Trainer

@Suite("Mixtures") struct MixtureTests {
    private static let shares = [0.1, 0.3, 0.5, 0.7, 0.9]
    private static let learned = law(e: 0.9, b: 0.12, eta: 0.3, beta: 0.4, c: 0.05, gamma: 0.8, epsilon: 0.02)
    /// What is shown little of is forgotten with every token.
    private static let kept = law(e: 1.5, b: -0.1, eta: 0.2, beta: 0.5, c: 0.03, gamma: 0.5, epsilon: 0.1)

    private static func law(
        e: Double, b: Double, eta: Double, beta: Double, c: Double, gamma: Double, epsilon: Double
    ) -> MixtureLaw {
        let text =
            #"{"e":\#(e),"b":\#(b),"eta":\#(eta),"beta":\#(beta),"c":\#(c),"gamma":\#(gamma),"epsilon":\#(epsilon)}"#
        do { return try JSON(parsing: Array(text.utf8), file: "law").decoded(as: MixtureLaw.self) } catch {
            preconditionFailure("\(error)")
        }
    }

    private static func trials(_ noise: (Int) -> Double = { _ in 0 }) -> [MixtureTrial] {
        var count = 0
        func value(_ law: MixtureLaw, _ share: Double, _ tokens: Int) -> Double {
            count += 1
            return law.loss(share: share, millions: Double(tokens) / 1e6) * (1 + noise(count))
        }
        return shares.map { share in
            MixtureTrial(
                share: share,
                stops: [50_000, 100_000, 150_000, 200_000].map {
                    .init(
                        tokens: $0,
                        bitsPerByte: ["ko": value(learned, share, $0), "en": value(kept, 1 - share, $0)])
                })
        }
    }

    private static func request(budget: Int = 2_000_000, steps: Int = 8) -> MixtureRequest {
        var job = TrainingJob()
        job.data = [TextSource(name: "ko", path: example("data/korean.train.jsonl"), weight: 3)]
        job.replay = [TextSource(name: "en", path: example("data/english.train.jsonl"), isReplay: true)]
        job.eval = [
            TextSource(name: "ko", path: example("data/korean.val.jsonl")),
            TextSource(name: "en", path: example("data/english.val.jsonl")),
        ]
        (job.batch, job.length, job.lr) = (1, 32, 1e-3)
        var request = MixtureRequest(job, budget: budget)
        request.steps = steps
        return request
    }

    /// What a law has made is foretold at shares and lengths that nobody has seen.
    @Test(arguments: [learned, kept])
    func aLawIsFoundAgain(_ law: MixtureLaw) {
        let points = Self.shares.flatMap { share in
            [0.05, 0.1, 0.15, 0.2].map {
                MixtureLaw.Point(share: share, millions: $0, loss: law.loss(share: share, millions: $0))
            }
        }
        let found = MixtureLaw(fitting: points)
        for point in points {
            #expect(abs(found.loss(share: point.share, millions: point.millions) / point.loss - 1) < 5e-4)
        }
        for share in [0.2, 0.6, 0.85] {
            let told = found.loss(share: share, millions: 0.4)
            #expect(abs(told / law.loss(share: share, millions: 0.4) - 1) < 3e-3)
        }
    }

    /// The share is the best for the new domain of those that the tolerance leaves.
    @Test(arguments: [0, 0.005, 0.02, 1])
    func theToleranceDecides(_ tolerance: Double) throws {
        var request = Self.request(budget: 400_000)
        request.tolerance = tolerance
        let proposal = MixtureProposal(request, Self.trials())
        let share = try #require(proposal.share)
        let best = try #require(proposal.forecast.map(\.original).min())
        let chosen = try #require(proposal.forecast.first { $0.share == share })
        #expect(chosen.original <= best * (1 + tolerance))
        for row in proposal.forecast where row.original <= best * (1 + tolerance) {
            #expect(row.new >= chosen.new)
        }
        #expect(proposal.forecast.first?.share == 0.1 && proposal.forecast.last?.share == 0.9)
        let sum = request.proposed(share).sources.reduce(0) { $0 + $1.weight }
        #expect(abs(sum - 1) < 1e-12 && abs(request.proposed(share).data[0].weight - share) < 1e-12)
    }

    /// The recipe is the run that is proposed, and its files are found from wherever it lies.
    @Test func theRecipeIsTheRun() throws {
        var request = Self.request(budget: 400_000)
        request.job.data[0].path = "texts/ko.jsonl"
        let proposal = MixtureProposal(request, Self.trials())
        let recipe = try YAMLNode(
            parsing: #require(proposal.recipe(model: "/models/base")), file: "mixed.yaml")
        #expect(recipe["model"]?.json == "/models/base")
        let steps = try #require(recipe["steps"]?.list)
        #expect(steps.count == 1)
        let found = try TrainingJob(
            parameters: #require(steps[0]["heal"]?.json.object), from: "/elsewhere", at: { $0 ?? "" })
        var expected = request.proposed(try #require(proposal.share))
        expected.data[0].path = Path.absolute("texts/ko.jsonl")
        #expect(found.parameters == expected.parameters)
    }

    /// Where trials do not follow a law, nothing is proposed.
    @Test func whatIsNotForetoldIsNotProposed() {
        var generator = SplitMix64(seed: 3)
        let proposal = MixtureProposal(
            Self.request(), Self.trials { _ in Double.random(in: -0.3...0.3, using: &generator) })
        #expect(proposal.share == nil && proposal.recipe(model: "base") == nil)
        #expect("\(UserFacingError.noMixture(proposal))".contains("no share is proposed"))
    }

    /// Trials that are done are not done again, after a stop, at another budget and with more shares.
    @Test func nothingIsTriedTwice() throws {
        let temporary = try TemporaryFolder()
        let output = temporary.path("mixed.yaml")
        var options = RunOptions()
        func trained(_ request: MixtureRequest, stopAfter limit: Int = .max) throws -> (
            Set<Int>, MixtureProposal?
        ) {
            var (seen, steps) = (Set<Int>(), 0)
            let search = try MixtureSearch(request, on: example("base"), to: output, options: options)
            do {
                let proposal = try search(isCancelled: { steps >= limit }) { trial, _ in
                    seen.insert(trial)
                    steps += 1
                }
                return (seen, proposal)
            } catch let error as UserFacingError where error.isInterruption { return (seen, nil) }
        }
        var request = Self.request()
        // A few documents are enough for what is tested.
        func shorten(_ source: inout TextSource, to count: Int, _ name: String) throws {
            let lines = try String(contentsOfFile: source.path, encoding: .utf8).split(separator: "\n")
            source.path = temporary.path(name)
            try (lines.prefix(count).joined(separator: "\n") + "\n").write(
                toFile: source.path, atomically: true, encoding: .utf8)
        }
        try shorten(&request.job.data[0], to: 10, "ko.jsonl")
        try shorten(&request.job.replay[0], to: 10, "en.jsonl")
        try shorten(&request.job.eval[0], to: 1, "ko.val.jsonl")
        try shorten(&request.job.eval[1], to: 1, "en.val.jsonl")
        let stopped = try trained(request, stopAfter: 20)
        #expect(stopped.0 == [0, 1, 2] && stopped.1 == nil && !FileSystem.exists(output))
        let rest = try trained(request)
        #expect(rest.0 == [2, 3, 4])
        options.force = true
        options.threads = 2
        request.budget *= 2
        let all = try trained(request)
        #expect(all.0.isEmpty && all.1?.trials == rest.1?.trials)
        request.shares.append(0.6)
        #expect(try trained(request).0 == [5])
        request.job.lr = 5e-4
        #expect(try trained(request).0 == [0, 1, 2, 3, 4, 5])
    }

    @Test func whatCantBeIsRefused() {
        let changes: [(String, (inout MixtureRequest) -> Void)] = [
            ("--replay is missing", { $0.job.replay = [] }),
            ("--data is missing", { $0.job.data = [] }),
            ("no set of --eval is of the original domain", { $0.job.eval.removeLast() }),
            ("every set of --eval is of the original domain", { $0.job.eval.removeFirst() }),
            ("five different ones", { $0.shares = [0.1, 0.1, 0.2, 0.3, 0.4] }),
            ("from 0.001 to 0.999", { $0.shares = [0, 0.1, 0.2, 0.3, 0.4] }),
            ("--budget must be", { $0.budget = 0 }),
            ("--tolerance must be", { $0.tolerance = -0.1 }),
            ("without stages, a teacher", { $0.job.seam = .ramp }),
            ("8 or more", { $0.steps = 4 }),
        ]
        for (words, change) in changes {
            var request = Self.request()
            change(&request)
            let error = #expect(throws: UserFacingError.self) { try request.check(prefix: "--") }
            #expect("\(error.map { "\($0)" } ?? "")".contains(words))
        }
    }
}
