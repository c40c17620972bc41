# SPDX-License-Identifier: MIT
"""What a network is taught by: boxes, or what a teacher says at each anchor.

Detection: anchors are assigned to objects as in TOOD (Feng et al. 2021, section 3.2), classes are
learnt by binary cross-entropy, boxes by CIoU (Zheng et al. 2020, "Enhancing Geometric Factors")
and the distribution focal loss (Li et al. 2020, "Generalized Focal Loss", eq. 6). With the numbers
below it is the loss of Ultralytics' YOLOv8, up to their factor of the batch's size. Masks are
learnt by binary cross-entropy, points by their similarity to an object's (OKS, by which COCO's
keypoints are judged) and by whether they are there.

Boxes are left, top, right, bottom in pixels of the network's picture. An object is a row of
[K][6]: number of the picture in the batch, class, box; or of [K][6 + 3 * points] for a head that
finds points: x and y in pixels, and 0 where nobody knows. Masks are [K][rows][columns], 0 or 1.
"""

import math

import torch
from torch.nn import functional

from . import network

# The metric by which an object chooses anchors is score^SCORE_POWER * overlap^OVERLAP_POWER.
CANDIDATES, SCORE_POWER, OVERLAP_POWER = 10, .5, 6.
BOX_GAIN, CLASS_GAIN, BINS_GAIN = 7.5, .5, 1.5
# How many anchors an object takes in a one-to-one head at first, of which it keeps the best, and
# what the other head's loss weighs beside that: this falls from the first to the second number.
FEW_CANDIDATES, MANY_WEIGHT = 7, (.8, .1)
MASK_GAIN, POINT_GAIN, THERE_GAIN = 7.5, 12., 1.
# How far people place COCO's 17 points of a body apart, as a part of the root of its area (COCO's
# keypoint evaluation).
SIGMAS = [.026, .025, .025, .035, .035, .079, .079, .072, .072, .062, .062, .107, .107, .087, .087,
          .089, .089]
# Keeps divisions by sizes of empty boxes finite.
EPSILON = 1e-7


def ciou(a, b):
    """Complete IoU of boxes [...][4], pair by pair: at most 1, and below 0 for boxes apart. The
    factor alpha has no gradient, as in the paper's own code."""
    size_a, size_b = a[..., 2:] - a[..., :2], b[..., 2:] - b[..., :2]
    least, most = torch.maximum(a[..., :2], b[..., :2]), torch.minimum(a[..., 2:], b[..., 2:])
    shared = (most - least).clamp(0).prod(-1)
    iou = shared / (size_a.prod(-1) + size_b.prod(-1) - shared + EPSILON)
    around = torch.maximum(a[..., 2:], b[..., 2:]) - torch.minimum(a[..., :2], b[..., :2])
    apart = (a[..., :2] + a[..., 2:] - b[..., :2] - b[..., 2:]).square().sum(-1) / 4
    angle_a, angle_b = (torch.atan(size[..., 0] / (size[..., 1] + EPSILON))
                        for size in (size_a, size_b))
    v = 4 / math.pi ** 2 * (angle_a - angle_b).square()
    with torch.no_grad():
        alpha = v / (1 - iou + v + EPSILON)
    return iou - apart / (around.square().sum(-1) + EPSILON) - alpha * v


def padded(objects, pictures):
    """Classes [N][M], boxes [N][M][4], which of them are there [N][M], and the numbers of their
    rows [N][M], M being the most that a picture has, of rows [K][6 or more] in any order."""
    picture = objects[:, 0].long()
    order = picture.argsort(stable=True)
    objects, picture = objects[order, :6], picture[order]
    counts = torch.bincount(picture, minlength=pictures)
    first = counts.cumsum(0) - counts
    place = torch.arange(len(objects), device=objects.device) - first[picture]
    most = int(counts.max()) if len(objects) else 0
    rows = objects.new_zeros(pictures, most, 5)
    rows[picture, place] = objects[:, 1:]
    numbers = order.new_zeros(pictures, most)
    numbers[picture, place] = order
    there = torch.arange(most, device=objects.device) < counts[:, None]
    return rows[..., 0].long(), rows[..., 1:], there, numbers


@torch.no_grad()
def assign(scores, boxes, points, objects, smallest=0., one=False):
    """Which anchors learn which objects. scores: [N][A][classes] from 0 to 1; boxes: [N][A][4],
    what the network says; points: the anchors' centres [A][2]; smallest: to choose candidates,
    sides of objects are taken to be that long at least, so that small ones have some; one: of an
    object's anchors only the best learns it.

    Gives of each anchor the object's box [N][A][4], the score that it shall have for each class
    [N][A][classes]: 0 everywhere where it learns nothing, and the object's row [N][A].
    """
    n, anchors, _ = scores.shape
    classes, wanted, there, numbers = padded(objects, n)
    target_scores = torch.zeros_like(scores)
    if wanted.shape[1] == 0:
        return (boxes.new_zeros(n, anchors, 4), target_scores,
                numbers.new_zeros(n, anchors))
    # Candidates have their centres in the object's box. What follows is counted for them alone.
    middle = (wanted[..., None, :2] + wanted[..., None, 2:]) / 2
    half = ((wanted[..., None, 2:] - wanted[..., None, :2]) / 2).clamp(min=smallest / 2)
    inside = torch.cat((points - middle + half, middle + half - points), -1)
    inside = (inside.amin(-1) > 1e-9) & there[..., None]                        # [N][M][A]
    picture, place, anchor = inside.nonzero(as_tuple=True)
    found = ciou(wanted[picture, place], boxes[picture, anchor]).clamp(0)
    score = scores[picture, anchor, classes[picture, place]]
    overlap = boxes.new_zeros(inside.shape)
    overlap[inside] = found
    metric = boxes.new_zeros(inside.shape)
    metric[inside] = score ** SCORE_POWER * found ** OVERLAP_POWER

    # Each object takes its best candidates; an anchor that several take goes to the one that it
    # overlaps most.
    best = metric.topk(min(FEW_CANDIDATES if one else CANDIDATES, anchors), -1).indices
    taken = torch.zeros_like(inside).scatter_(2, best, True) & inside
    several = taken.sum(1, keepdim=True) > 1
    nearest = torch.zeros_like(inside).scatter_(1, overlap.argmax(1, keepdim=True), True)
    taken = torch.where(several, nearest, taken)
    if one:
        best = (metric * taken).argmax(2, keepdim=True)
        taken = taken & torch.zeros_like(taken).scatter_(2, best, True)

    # The best anchor of an object shall have its largest overlap as score, others less, in the
    # ratio of their metrics (TOOD, eq. 4).
    metric, overlap = metric * taken, overlap * taken
    scale = overlap.amax(2, keepdim=True) / (metric.amax(2, keepdim=True) + 1e-9)
    goal = (metric * scale).amax(1)                                             # [N][A]
    owner = taken.int().argmax(1)
    row = torch.arange(n, device=owner.device)[:, None]
    target_scores.scatter_(2, classes[row, owner][..., None], goal[..., None])
    return wanted[row, owner], target_scores, numbers[row, owner]


def smallest_side(strides):
    """Pixels: the second level's stride, so that the smallest object has four anchors of the first
    level to choose from. Found by comparing numbers with those of Ultralytics 8.4, whose
    documentation of YOLO26 speaks of an assignment that is aware of small objects (STAL)."""
    return float(sorted(strides)[min(1, len(strides) - 1)])


def bins_loss(logits, goals):
    """Cross-entropy with the two bins around each goal. logits: [P][bins]; goals: [P], from 0 to
    below bins - 1."""
    low = goals.long()
    part = goals - low
    return (functional.cross_entropy(logits, low, reduction='none') * (1 - part)
            + functional.cross_entropy(logits, low + 1, reduction='none') * part)


def at_least_one(total):
    """Of the scores that shall be learnt: with no object there is nothing to divide by."""
    return total.clamp(min=1)


def detection(maps, objects, head, share=at_least_one, masks=None, many=MANY_WEIGHT[0]):
    """{'box', 'class', 'bins', 'total'}: the loss and its parts, gains included, of a head's maps,
    and 'mask' of a head that segments, which needs masks, 'points' and 'there' of one that finds
    points. Of a head with a one-to-one head beside it the parts are those of both, of which the
    one-to-many head's weighs `many` and the other's the rest.

    share: given the sum of the scores that shall be learnt, gives what the loss is divided by: in
    several processes, which average their gradients, at_least_one(the sum of theirs) by their
    number, so that they learn what one would of the whole batch.
    """
    parts = one_head(maps, objects, head, share, masks)
    if maps.one is not None:
        once = one_head(maps.one, objects, head, share, masks, True)
        parts = {name: value * many + once[name] * (1 - many) for name, value in parts.items()}
    return {**parts, 'total': sum(parts.values())}


def one_head(maps, objects, head, share, masks, one=False):
    """The parts of detection() of one head. one: each object is learnt by one anchor."""
    logits, classes, *more = (part.float().transpose(1, 2) for part in network.joined(maps))
    sizes = [level[0].shape[2:] for level in maps]
    points, strides = network.anchors_of(sizes, head.strides, logits.device)
    sides = network.distances(logits.transpose(1, 2), head.bins).transpose(1, 2) * strides
    boxes = torch.cat((points - sides[..., :2], points + sides[..., 2:]), -1)
    goals, scores, owners = assign(classes.detach().sigmoid(), boxes.detach(), points, objects,
                                   smallest_side(head.strides), one)

    weight = scores.sum(-1)
    total = share(weight.sum())
    learns = weight > 0
    weight = weight[learns]
    parts = {'class': functional.binary_cross_entropy_with_logits(classes, scores,
                                                                  reduction='sum') / total}
    goals, owners = goals[learns], owners[learns]
    parts['box'] = ((1 - ciou(boxes[learns], goals)) * weight).sum() / total
    point, stride = (each.expand(*learns.shape, -1)[learns] for each in (points, strides))
    goal = torch.cat((point - goals[:, :2], goals[:, 2:] - point), -1)
    size = [side * head.strides[0] for side in sizes[0]]
    if head.bins > 1:
        goal = (goal / stride).clamp(0, head.bins - 1 - .01)
        each = bins_loss(logits[learns].reshape(-1, head.bins), goal.flatten()).view(-1, 4)
    else:                                       # distances as parts of the picture
        whole = goal.new_tensor([size[1], size[0]] * 2)
        each = (sides[learns] / whole - goal / whole).abs()
    parts['bins'] = (each.mean(-1) * weight).sum() / total
    parts = {'box': parts['box'] * BOX_GAIN, 'class': parts['class'] * CLASS_GAIN,
             'bins': parts['bins'] * BINS_GAIN}
    if more:
        more, count = more[0][learns], share(learns.sum().to(boxes))
    if head.task == 'segment':
        parts['mask'] = mask_loss(more, maps.prototypes.float(), learns.nonzero()[:, 0], goals,
                                  masks[owners], size) / count * MASK_GAIN
    if head.task == 'pose':
        parts |= point_losses(more, head.shape, point, stride, goals, objects[owners, 6:], count)
    return parts


def mask_loss(coefficients, prototypes, pictures, boxes, masks, size):
    """The sum over anchors of the binary cross-entropy inside of an object's box, as the mean over
    the whole mask, divided by the part of the picture that the box takes: every object weighs the
    same. coefficients: [P][channels]; prototypes: [N][channels][rows][columns], of which
    pictures [P] are the numbers; boxes: [P][4]; masks: [P][rows][columns]; size: rows and columns
    of the picture."""
    if not len(boxes):
        return coefficients.sum() * 0 + prototypes.sum() * 0
    rows, columns = prototypes.shape[2:]
    total, whole = 0, boxes.new_tensor([size[1], size[0]] * 2)
    parts = boxes / whole
    edges = parts * boxes.new_tensor([columns, rows] * 2)
    x, y = (torch.arange(side, device=boxes.device) for side in (columns, rows))
    # Picture by picture: the masks of all anchors at once would take gigabytes.
    for number in pictures.unique():
        own = pictures == number
        made = torch.einsum('pc,cyx->pyx', coefficients[own], prototypes[number])
        each = functional.binary_cross_entropy_with_logits(made, masks[own].to(made),
                                                           reduction='none')
        x1, y1, x2, y2 = edges[own, :, None].unbind(1)
        inside = ((x >= x1) & (x < x2))[:, None] & ((y >= y1) & (y < y2))[:, :, None]
        area = (parts[own, 2:] - parts[own, :2]).prod(1)
        total = total + ((each * inside).mean((1, 2)) / area).sum()
    return total


def point_losses(logits, shape, anchors, strides, boxes, wanted, count):
    """{'points', 'there'}: how unlike an object's points those are that an anchor gives, which is
    1 - exp(-d^2 / (2 s^2 k^2)) of each that somebody knows (COCO's OKS: d is the distance, s the
    object's scale, k how exactly people place such a point); and the binary cross-entropy of
    whether they are known. logits: [P][points * numbers]; anchors [P][2] and boxes [P][4] in
    pixels; wanted: [P][3 * points]; count: of anchors, by which sums are divided."""
    made = network.places(logits[..., None], shape)[..., 0]
    goals = wanted.view(-1, shape[0], 3)
    known = goals[..., 2] != 0
    sigmas = made.new_tensor(SIGMAS if tuple(shape) == (17, 3) else [1 / shape[0]] * shape[0])
    distance = (made[..., :2] - (goals[..., :2] - anchors[:, None]) / strides[:, None]).square()
    area = ((boxes[:, 2:] - boxes[:, :2]) / strides).prod(1, keepdim=True)
    unlike = 1 - torch.exp(-distance.sum(-1) / ((2 * sigmas).square() * (area + 1e-9) * 2))
    # An object of which few points are known weighs as much as one of which all are.
    weight = shape[0] / (known.sum(1, keepdim=True) + 1e-9)
    parts = {'points': (unlike * known * weight).sum() / (count * shape[0]) * POINT_GAIN}
    if shape[1] == 3:
        parts['there'] = functional.binary_cross_entropy_with_logits(
            made[..., 2], known.to(made), reduction='sum') / (count * shape[0]) * THERE_GAIN
    return parts


def distillation(maps, teacher, bins, temperature=2., least=.05):
    """{'class', 'bins'}: how far a student's maps are from a teacher's, as Kullback-Leibler
    divergences, at anchors where the teacher sees something: has a score of `least` or more.

    Each class is a distribution of its own, since scores are sigmoids (Yang et al. 2023, "Bridging
    Cross-task Protocol Inconsistency"). The sides' distributions are softened by the temperature
    (Zheng et al. 2022, "Localization Distillation"), whose square keeps the gradients' size. Both
    are averages over anchors, weighted by the teacher's best score.
    """
    logits, classes = (part.float().transpose(1, 2) for part in network.joined(maps)[:2])
    with torch.no_grad():
        goal_logits, goal_classes = (part.float().transpose(1, 2)
                                     for part in network.joined(teacher)[:2])
        weight = goal_classes.sigmoid().amax(-1)
        sees = weight >= least
        weight, scores = weight[sees], goal_classes[sees].sigmoid()
        total = weight.sum().clamp(min=1)
        goal_sides = (goal_logits[sees].view(-1, 4, bins) / temperature).log_softmax(-1)
        entropy = functional.binary_cross_entropy_with_logits(goal_classes[sees], scores,
                                                              reduction='none')
    cross = functional.binary_cross_entropy_with_logits(classes[sees], scores, reduction='none')
    sides = (logits[sees].view(-1, 4, bins) / temperature).log_softmax(-1)
    each = functional.kl_div(sides, goal_sides, reduction='none', log_target=True).sum(-1).mean(-1)
    return {'class': ((cross - entropy).sum(-1) * weight).sum() / total,
            'bins': (each * weight).sum() / total * temperature ** 2}


def imitation(features, teacher, temperature=4.):
    """How far a student's features are from a teacher's, as lists of maps [N][channels][rows]
    [columns] of the same shapes: the divergence of where in the picture each channel is strong
    (Shu et al. 2021, "Channel-wise Knowledge Distillation for Dense Prediction", eq. 4), summed
    over places, averaged over channels and pictures, summed over levels."""
    total = 0
    for own, goal in zip(features, teacher, strict=True):
        own, goal = ((each.float().flatten(2) / temperature).log_softmax(-1)
                     for each in (own, goal.detach()))
        each = functional.kl_div(own, goal, reduction='none', log_target=True).sum(-1)
        total = total + each.mean() * temperature ** 2
    return total
