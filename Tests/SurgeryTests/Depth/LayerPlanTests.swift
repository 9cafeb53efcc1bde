import Formats
import Surgery
import Testing

@Suite("Layer plans")
struct LayerPlanTests {
    /// SOLAR: 32 → 48 with m = 8, the seam going from 23 to 8 (arXiv 2312.15166, figure 1).
    @Test func solar() throws {
        let plan = try LayerPlan.depthUpScaling(from: 32, to: 48)
        #expect(plan.sources == Array(0...23) + Array(8...31))
        #expect(plan.origins.indices.filter { plan.origins[$0] == .duplicate } == Array(24..<40))
        #expect(plan.description == "0-23,8-31")
    }

    /// Solar Pro: Phi-3-medium's 40 → 64 = 2(40 − 8).
    @Test func solarPro() throws {
        #expect(try LayerPlan.depthUpScaling(from: 40, to: 64).description == "0-31,8-39")
    }

    /// Yi-9B repeats layers 12 to 27 of 32.
    @Test func yi() throws {
        let plan = try LayerPlan.depthUpScaling(from: 32, to: 48, keepFirst: 28, keepLast: nil)
        #expect(plan.sources == Array(0...27) + Array(12...31))
        #expect(try LayerPlan.depthUpScaling(from: 32, to: 48, keepFirst: nil, keepLast: 20) == plan)
        #expect(try LayerPlan.depthUpScaling(from: 32, to: 48, keepFirst: 28, keepLast: 20) == plan)
    }

    @Test(arguments: [
        (8, 15, [0..<8, 1..<8]),  // odd: the upper copy loses one more
        (8, 13, [0..<7, 2..<8]),
        (8, 16, [0..<8, 0..<8]),
        (8, 9, [0..<5, 4..<8]),
        (1, 2, [0..<1, 0..<1]),
        (3, 4, [0..<2, 1..<3]),
        (8, 24, [0..<8, 0..<8, 0..<8]),
        (8, 20, [0..<7, 1..<7, 1..<8]),
        (8, 17, [0..<6, 2..<7, 2..<8]),
        (1, 4, [0..<1, 0..<1, 0..<1, 0..<1]),
    ])
    func runs(from: Int, to: Int, runs: [Range<Int>]) throws {
        #expect(try LayerPlan.depthUpScaling(from: from, to: to) == LayerPlan(runs: runs, of: from))
    }

    /// Whatever is asked for within reach comes out with that many layers, its first and last layer in place.
    @Test(arguments: 1...24)
    func everyReachableCount(from count: Int) throws {
        for target in count + 1...LayerPlan.mostCopies * count {
            let plan = try LayerPlan.depthUpScaling(from: count, to: target)
            #expect(plan.count == target)
            #expect(plan.sources.count == target)
            #expect(plan.sources.first == 0)
            #expect(plan.sources.last == count - 1)
            #expect(Set(plan.sources).count == count)
        }
    }

    @Test(arguments: [
        (32, 32, "depth up-scaling adds layers: from 32 it reaches 33 to 512, not 32"),
        (32, 16, "depth up-scaling adds layers: from 32 it reaches 33 to 512, not 16"),
        (32, 513, "depth up-scaling adds layers: from 32 it reaches 33 to 512, not 513"),
        (32, -1, "depth up-scaling adds layers: from 32 it reaches 33 to 512, not -1"),
        (0, 4, "a model without layers can't be up-scaled"),
        (Int.max, 4, "a model without layers can't be up-scaled"),
    ])
    func unreachable(from: Int, to: Int, message: String) {
        let error = #expect(throws: UserFacingError.self) { try LayerPlan.depthUpScaling(from: from, to: to) }
        #expect(error?.description == message)
        #expect(error?.fault == .usage)
    }

    @Test(
        arguments: [
            (33, nil, 48), (0, nil, 48), (nil, 8, 48), (24, 23, 48), (-1, 49, 48), (nil, 60, 48),
            (24, 24, 32),
            (40, 40, 80),
        ] as [(Int?, Int?, Int)])
    func impossibleToKeep(first: Int?, last: Int?, to: Int) {
        #expect(throws: UserFacingError.self) {
            try LayerPlan.depthUpScaling(from: 32, to: to, keepFirst: first, keepLast: last)
        }
    }

    @Test func namesTheNumbersThatWouldDo() {
        let error = UserFacingError.cannotKeep(first: 24, last: 23, from: 32, to: 48)
        #expect(
            error.description
                == "the first 24 and the last 23 of 32 layers can't make 48: "
                + "the two numbers have to add up to 48 and be 16 to 32 each")
    }

    @Test func refusesRunsOutsideTheSource() {
        #expect(throws: UserFacingError.layerOutside(8, of: 8)) {
            try LayerPlan(runs: [0..<8, 2..<9], of: 8)
        }
        #expect(throws: UserFacingError.noLayersPlanned) {
            try LayerPlan(runs: [3..<3], of: 8)
        }
    }

    @Test(arguments: [
        ("0-3", "0-3"), (" 0 - 1 , 3 ", "0-1,3"), ("3-0", "3-0"), ("2,2,2", "2,2,2"), ("0-1,1-2", "0-1,1-2"),
        ("0-1,1:zero,2-3", "0-1,1:zero,2-3"),
        ("1-2:scale=0.5,3:zero:scale=2", "1-2:scale=0.5,3:zero:scale=2.0"),
        ("0,1,2,3", "0-3"), ("0,1,0", "0-1,0"),
    ])
    func readsWhatIsTyped(text: String, same: String) throws {
        let plan = try LayerPlan(text, of: 4)
        #expect(plan.description == same)
        #expect(try LayerPlan(same, of: 4) == plan)
    }

    @Test(arguments: [
        ("", "at '': expected a layer or a range"), ("0-1,", "at '': expected"), ("0..3", "at '0..3'"),
        ("-1", "at '-1'"), ("1-2-3", "at '1-2-3'"), ("0:zeros", "expected zero or scale=X behind the colon"),
        ("0:scale=", "expected zero or scale=X"), ("0:scale=nan", "expected zero or scale=X"),
        ("0-4", "layer 4 is asked of a model that has layers 0 to 3"), ("9-0", "layer 9 is asked"),
        ("99999999999999999999", "at '99999999999999999999'"),
    ])
    func refusesWhatIsNoPlan(text: String, message: String) {
        let error = #expect(throws: UserFacingError.self) { try LayerPlan(text, of: 4) }
        #expect(
            error?.message.contains(message) == true && error?.kind == .request, "\(error?.message ?? "")")
    }

    @Test func periodsAndEnds() throws {
        let plan = try LayerPlan.depthUpScaling(from: 32, to: 48)  // the second copy moves by 16
        #expect(
            plan.keeps(period: 1) && plan.keeps(period: 2) && plan.keeps(period: 4) && plan.keeps(period: 16))
        #expect(!plan.keeps(period: 3) && !plan.keeps(period: 6) && !plan.keeps(period: 32))
        #expect(plan.leading(0) == 0 && plan.leading(3) == 3 && plan.leading(8) == 8)
        #expect(plan.leading(9) == nil && plan.leading(23) == nil)
        #expect(plan.leading(24) == 40 && plan.leading(28) == 44 && plan.leading(32) == 48)
        #expect(plan.trailing(0) == 0 && plan.trailing(8) == 8 && plan.trailing(9) == nil)
    }
}
