# SPDX-License-Identifier: MIT
"""What a network is taught by: boxes, or what a teacher says at each anchor.

Detection: anchors are assigned to objects as in TOOD (Feng et al. 2021, section 3.2), classes are
learnt by binary cross-entropy, boxes by CIoU (Zheng et al. 2020, "Enhancing Geometric Factors")
and the distribution focal loss (Li et al. 2020, "Generalized Focal Loss", eq. 6). With the numbers
below it is the loss of Ultralytics' YOLOv8, up to their factor of the batch's size.

Boxes are left, top, right, bottom in pixels of the network's picture. An object is a row of
[K][6]: number of the picture in the batch, class, box.
"""

import math

import torch
from torch.nn import functional

from . import network

# The metric by which an object chooses anchors is score^SCORE_POWER * overlap^OVERLAP_POWER.
CANDIDATES, SCORE_POWER, OVERLAP_POWER = 10, .5, 6.
BOX_GAIN, CLASS_GAIN, BINS_GAIN = 7.5, .5, 1.5
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
    """Classes [N][M], boxes [N][M][4] and which of them are there [N][M], M being the most that a
    picture has, of rows [K][6] in any order."""
    picture = objects[:, 0].long()
    objects, picture = objects[picture.argsort(stable=True)], picture.sort(stable=True)[0]
    counts = torch.bincount(picture, minlength=pictures)
    first = counts.cumsum(0) - counts
    place = torch.arange(len(objects), device=objects.device) - first[picture]
    most = int(counts.max()) if len(objects) else 0
    rows = objects.new_zeros(pictures, most, 5)
    rows[picture, place] = objects[:, 1:]
    there = torch.arange(most, device=objects.device) < counts[:, None]
    return rows[..., 0].long(), rows[..., 1:], there


@torch.no_grad()
def assign(scores, boxes, points, objects, smallest=0.):
    """Which anchors learn which objects. scores: [N][A][classes] from 0 to 1; boxes: [N][A][4],
    what the network says; points: the anchors' centres [A][2]; smallest: to choose candidates,
    sides of objects are taken to be that long at least, so that small ones have some.

    Gives of each anchor the object's box [N][A][4], and the score that it shall have for each
    class [N][A][classes]: 0 everywhere where it learns nothing.
    """
    n, anchors, _ = scores.shape
    classes, wanted, there = padded(objects, n)
    target_scores = torch.zeros_like(scores)
    if wanted.shape[1] == 0:
        return boxes.new_zeros(n, anchors, 4), target_scores
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
    best = metric.topk(min(CANDIDATES, anchors), -1).indices
    taken = torch.zeros_like(inside).scatter_(2, best, True) & inside
    several = taken.sum(1, keepdim=True) > 1
    nearest = torch.zeros_like(inside).scatter_(1, overlap.argmax(1, keepdim=True), True)
    taken = torch.where(several, nearest, taken)

    # The best anchor of an object shall have its largest overlap as score, others less, in the
    # ratio of their metrics (TOOD, eq. 4).
    metric, overlap = metric * taken, overlap * taken
    scale = overlap.amax(2, keepdim=True) / (metric.amax(2, keepdim=True) + 1e-9)
    goal = (metric * scale).amax(1)                                             # [N][A]
    owner = taken.int().argmax(1)
    row = torch.arange(n, device=owner.device)[:, None]
    target_scores.scatter_(2, classes[row, owner][..., None], goal[..., None])
    return wanted[row, owner], target_scores


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


def detection(maps, objects, head, share=at_least_one):
    """{'box', 'class', 'bins', 'total'}: the loss and its parts, gains included, of a head's maps.

    share: given the sum of the scores that shall be learnt, gives what the loss is divided by: in
    several processes, which average their gradients, at_least_one(the sum of theirs) by their
    number, so that they learn what one would of the whole batch.
    """
    logits, classes = (part.float().transpose(1, 2) for part in network.joined(maps))
    sizes = [box.shape[2:] for box, _ in maps]
    points, strides = network.anchors_of(sizes, head.strides, logits.device)
    sides = network.distances(logits.transpose(1, 2), head.bins).transpose(1, 2) * strides
    boxes = torch.cat((points - sides[..., :2], points + sides[..., 2:]), -1)
    goals, scores = assign(classes.detach().sigmoid(), boxes.detach(), points, objects,
                           smallest_side(head.strides))

    weight = scores.sum(-1)
    total = share(weight.sum())
    learns = weight > 0
    weight = weight[learns]
    parts = {'class': functional.binary_cross_entropy_with_logits(classes, scores,
                                                                  reduction='sum') / total}
    parts['box'] = ((1 - ciou(boxes[learns], goals[learns])) * weight).sum() / total
    point, stride = (each.expand(*learns.shape, -1)[learns] for each in (points, strides))
    goal = torch.cat((point - goals[learns][:, :2], goals[learns][:, 2:] - point), -1) / stride
    goal = goal.clamp(0, head.bins - 1 - .01)
    each = bins_loss(logits[learns].reshape(-1, head.bins), goal.flatten()).view(-1, 4).mean(-1)
    parts['bins'] = (each * weight).sum() / total
    parts = {'box': parts['box'] * BOX_GAIN, 'class': parts['class'] * CLASS_GAIN,
             'bins': parts['bins'] * BINS_GAIN}
    return {**parts, 'total': sum(parts.values())}


def distillation(maps, teacher, bins, temperature=2., least=.05):
    """{'class', 'bins'}: how far a student's maps are from a teacher's, as Kullback-Leibler
    divergences, at anchors where the teacher sees something: has a score of `least` or more.

    Each class is a distribution of its own, since scores are sigmoids (Yang et al. 2023, "Bridging
    Cross-task Protocol Inconsistency"). The sides' distributions are softened by the temperature
    (Zheng et al. 2022, "Localization Distillation"), whose square keeps the gradients' size. Both
    are averages over anchors, weighted by the teacher's best score.
    """
    logits, classes = (part.float().transpose(1, 2) for part in network.joined(maps))
    with torch.no_grad():
        goal_logits, goal_classes = (part.float().transpose(1, 2)
                                     for part in network.joined(teacher))
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
